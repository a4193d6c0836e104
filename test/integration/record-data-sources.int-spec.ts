import { Injectable } from '@nestjs/common';
import { InjectRepository, getDataSourceToken } from '@nestjs/typeorm';
import { EventRecorder, InvalidSetupError, NoTransactionError, TransactionalEvent } from 'nestjs-reliable-mq';
import { DataSource, type QueryRunner, Repository } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { describeEachDatabase } from '../support/each-database';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly main: Repository<Note>,
    @InjectRepository(Note, 'archive') readonly archive: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async toMain(text: string, then?: () => Promise<unknown>): Promise<void> {
    await this.main.insert({ text });
    await then?.();
  }

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }), { dataSource: 'archive' })
  async toArchive(text: string, then?: () => Promise<unknown>): Promise<void> {
    await this.archive.insert({ text });
    await then?.();
  }
}

describeEachDatabase('several DataSources', (database) => {
  let recording: Recording;
  let archiveDatabase: TestDatabase;
  let unlistedDatabase: TestDatabase;
  let notes: Notes;
  let main: DataSource;
  let archive: DataSource;

  beforeAll(async () => {
    archiveDatabase = await createTestDatabase(database);
    unlistedDatabase = await createTestDatabase(database);
    recording = await Recording.start({
      database,
      providers: [Notes],
      more: { archive: archiveDatabase, unlisted: unlistedDatabase },
      featuresOf: ['archive'],
      reliableMq: { dataSources: ['default', 'archive'] },
    });
    notes = recording.app.get(Notes);
    main = recording.app.dataSource;
    archive = recording.app.get<DataSource>(getDataSourceToken('archive') as string);
  });
  beforeEach(async () => {
    await recording.reset();
    await archiveDatabase.empty('note', 'reliable_mq_outbox');
  });
  afterAll(async () => {
    await recording.dispose();
    await archiveDatabase.drop();
    await unlistedDatabase.drop();
  });

  async function expectStored(expected: { readonly main?: string[]; readonly archive?: string[] }): Promise<void> {
    expect(await recording.notes()).toEqual([...(expected.main ?? [])].sort());
    expect(await recording.stored()).toEqual(expected.main ?? []);
    expect(await recording.notes(archiveDatabase)).toEqual([...(expected.archive ?? [])].sort());
    expect(await recording.stored(archiveDatabase)).toEqual(expected.archive ?? []);
  }

  it('have an outbox each, and the events of both are published', async () => {
    await notes.toMain('a');
    await notes.toArchive('b');
    await recording.events.transaction(
      () => recording.events.record(noteWritten('c')).then(() => notes.archive.insert({ text: 'c' })),
      {
        dataSource: 'archive',
      },
    );
    expect((await recording.published()).sort()).toEqual(['a', 'b', 'c']);
    await expectStored({ main: ['a'], archive: ['b', 'c'] });
  });

  it('have their transactions nested in one call chain, and an event goes to the innermost one', async () => {
    await notes.toMain('outer', async () => {
      await notes.toArchive('inner', async () => {
        await recording.events.record(noteWritten('innermost'));
        await notes.archive.insert({ text: 'innermost' });
        // Back in the outer one, which is still open: it is joined, not opened again.
        await notes.toMain('outer again');
      });
      await recording.events.record(noteWritten('outermost'));
      await notes.main.insert({ text: 'outermost' });
    });
    await expectStored({ main: ['outer again', 'outermost', 'outer'], archive: ['innermost', 'inner'] });
    expect((await recording.published()).sort()).toEqual(['inner', 'innermost', 'outer', 'outer again', 'outermost']);
  });

  it('commit and roll back on their own', async () => {
    await expect(
      notes.toMain('undone', async () => {
        await notes.toArchive('kept');
        throw new Error('undo');
      }),
    ).rejects.toThrow('undo');
    await notes.toMain('kept', () =>
      notes
        .toArchive('undone', async () => {
          throw new Error('undo');
        })
        .catch(() => undefined),
    );
    await expectStored({ main: ['kept'], archive: ['kept'] });
    expect(await recording.published()).toEqual(['kept', 'kept']);
  });

  it('may be opened by the application', async () => {
    await archive.transaction(async (manager) => {
      await manager.insert(Note, { text: 'a' });
      await recording.events.record(noteWritten('a'));
      await main.transaction(async () => {
        await notes.toMain('b');
      });
    });
    await expectStored({ main: ['b'], archive: ['a'] });
    expect((await recording.published()).sort()).toEqual(['a', 'b']);
  });

  it('decide by the manager that is given', async () => {
    const queryRunner: QueryRunner = archive.createQueryRunner();
    await queryRunner.startTransaction();
    await recording.events.transaction(() =>
      recording.events.record(noteWritten('a'), { manager: queryRunner.manager }),
    );
    await queryRunner.manager.insert(Note, { text: 'a' });
    await queryRunner.commitTransaction();
    await queryRunner.release();
    await expectStored({ archive: ['a'] });
  });

  it('must be listed', async () => {
    const unlisted = recording.app.get<DataSource>(getDataSourceToken('unlisted') as string);
    await unlisted.transaction(async (manager) => {
      await expect(recording.events.record(noteWritten('a'), { manager })).rejects.toThrow(
        /manager of a DataSource that is not one of/,
      );
      await expect(recording.events.record(noteWritten('a'))).rejects.toThrow(NoTransactionError);
    });
    const nowhere = recording.events.transaction(() => undefined, { dataSource: 'nowhere' });
    await expect(nowhere).rejects.toThrow(InvalidSetupError);
    await expect(nowhere).rejects.toThrow(/"nowhere" is not one of ReliableMqModule's \("default", "archive"\)/);
  });
});
