import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionalEvent, TransactionEndedError } from 'nestjs-reliable-mq';
import { type DataSource, type QueryRunner, Repository } from 'typeorm';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

/** What is done in the transaction, whichever way it was opened. */
interface Steps {
  insert(text: string): Promise<unknown>;
  record(text: string): Promise<unknown>;
  query(sql: string): Promise<unknown>;
}
type Work = (steps: Steps) => Promise<unknown>;

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly repository: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, () => noteWritten('of the method'))
  async run(work: Work): Promise<void> {
    await work(this.joined);
  }

  /** By what hangs on the DataSource. */
  get joined(): Steps {
    return {
      insert: (text) => this.repository.insert({ text }),
      record: (text) => this.events.record(noteWritten(text)),
      query: (sql) => this.repository.query(sql),
    };
  }
}

describe('a table that is created inside a transaction of MariaDB, which commits it', () => {
  let recording: Recording;
  let notes: Notes;
  let dataSource: DataSource;

  beforeAll(async () => {
    recording = await Recording.start({ database: 'mariadb', providers: [Notes] });
    notes = recording.app.get(Notes);
    ({ dataSource } = recording.app);
  });
  beforeEach(async () => {
    await recording.reset();
    await recording.app.query('DROP TABLE IF EXISTS made_inside');
  });
  afterAll(() => recording.dispose());

  const givenBy = ({ manager }: Pick<QueryRunner, 'manager'>): Steps => ({
    insert: (text) => manager.insert(Note, { text }),
    record: (text) => recording.events.record(noteWritten(text), { manager }),
    query: (sql) => manager.query(sql),
  });

  const STYLES: Readonly<Record<string, (work: Work) => Promise<unknown>>> = {
    '@TransactionalEvent': (work) => notes.run(work),
    'events.transaction': (work) => recording.events.transaction(() => work(notes.joined)),
    'dataSource.transaction': (work) => dataSource.transaction((manager) => work(givenBy({ manager }))),
    'dataSource.transaction, joined': (work) =>
      dataSource.transaction((manager) => recording.events.transaction(() => work(notes.joined), { manager })),
    'a nested transaction': (work) =>
      recording.events.transaction(() =>
        dataSource.transaction(() => recording.events.transaction(() => work(notes.joined))),
      ),
    'a QueryRunner driven by hand': async (work) => {
      const queryRunner = dataSource.createQueryRunner();
      try {
        await queryRunner.startTransaction();
        await work(givenBy(queryRunner));
        await queryRunner.commitTransaction();
      } catch (error) {
        await queryRunner.rollbackTransaction();
        throw error;
      } finally {
        await queryRunner.release();
      }
    },
  };

  const before = async ({ insert, record }: Steps): Promise<void> => {
    await insert('before');
    await record('before');
  };
  const createTable = ({ query }: Steps): Promise<unknown> => query('CREATE TABLE made_inside (id int)');
  const REFUSED = { code: 'TRANSACTION_ENDED', message: expect.stringContaining('CREATE TABLE made_inside') as string };

  describe.each(Object.entries(STYLES))('%s', (_, inTransaction) => {
    it('refuses what is recorded behind it, and what came before it is kept and published', async () => {
      const work = inTransaction(async (steps) => {
        await before(steps);
        await createTable(steps);
        await steps.record('behind');
      });
      await expect(work).rejects.toMatchObject(REFUSED);
      await recording.expectEverywhere('before');
    });

    it('refuses each statement behind it', async () => {
      const work = inTransaction(async (steps) => {
        await before(steps);
        await createTable(steps);
        await expect(steps.insert('behind')).rejects.toThrow(TransactionEndedError);
        await steps.query("UPDATE note SET text = 'changed'");
      });
      await expect(work).rejects.toMatchObject(REFUSED);
      await recording.expectEverywhere('before');
    });

    it('refuses them when the table was there already: its error comes behind the commit', async () => {
      await recording.app.query('CREATE TABLE made_inside (id int)');
      const work = inTransaction(async (steps) => {
        await before(steps);
        await expect(createTable(steps)).rejects.toMatchObject({ errno: 1050 });
        await expect(steps.insert('behind')).rejects.toMatchObject(REFUSED);
        await steps.record('behind');
      });
      await expect(work).rejects.toMatchObject(REFUSED);
      await recording.expectEverywhere('before');
    });

    it('refuses them when what commits has rows for an answer, which say nothing of it', async () => {
      const work = inTransaction(async (steps) => {
        await before(steps);
        await steps.query('/* how it is */ ANALYZE TABLE note');
        await steps.record('behind');
      });
      await expect(work).rejects.toMatchObject({ code: 'TRANSACTION_ENDED' });
      await recording.expectEverywhere('before');
    });

    it('leaves the connection to whoever comes next', async () => {
      await inTransaction(async (steps) => {
        await createTable(steps);
        await steps.record('behind');
      }).catch(() => undefined);
      for (let index = 0; index < 5; index += 1) await notes.run(before).catch(() => undefined);
      expect(await recording.notes()).toEqual(Array.from({ length: 5 }, () => 'before'));
    });
  });

  it('is told by the commit when nothing comes behind it, where this library has opened the transaction', async () => {
    const work = recording.events.transaction(async () => {
      await before(notes.joined);
      await createTable(notes.joined);
    });
    await expect(work).rejects.toMatchObject(REFUSED);
    await recording.expectEverywhere('before');
  });

  it('is told once more by the commit when the refusal was swallowed', async () => {
    const work = recording.events.transaction(async () => {
      await createTable(notes.joined);
      await notes.joined.record('behind').catch(() => undefined);
    });
    await expect(work).rejects.toMatchObject(REFUSED);
    await recording.expectEverywhere();
  });

  it('is no matter of a transaction in which nothing is recorded: migrations are written like that', async () => {
    await dataSource.transaction(async (manager) => {
      await manager.query('CREATE TABLE made_inside (id int)');
      await manager.query('INSERT INTO made_inside VALUES (1)');
      await manager.transaction((nested) => nested.query('INSERT INTO made_inside VALUES (2)'));
    });
    expect(await recording.database.query('SELECT id FROM made_inside')).toHaveLength(2);
  });

  it('of which only this session knows commits nothing, so nothing is refused', async () => {
    await recording.events.transaction(async () => {
      await notes.joined.query('CREATE TEMPORARY TABLE made_inside (id int)');
      await before(notes.joined);
      await notes.joined.query('DROP TEMPORARY TABLE made_inside');
    });
    await recording.expectEverywhere('before');
  });

  it('of which the statement cannot be read commits nothing either', async () => {
    await recording.events.transaction(async () => {
      await expect(notes.joined.query('CREATE TABEL made_inside')).rejects.toMatchObject({ errno: 1064 });
      await before(notes.joined);
    });
    await recording.expectEverywhere('before');
  });
});
