import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionalEvent, TransactionEndedError } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import {
  StorageDriver,
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  runInTransaction,
} from 'typeorm-transactional';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { expectPlansToAgree, type Operations } from './branches-harness';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

// Before any repository is created, as its documentation has it.
initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async decorated(text: string): Promise<void> {
    await this.notes.insert({ text });
  }
}

/** It shows its transaction to repositories by itself, and forgets it before that has ended. */
describeEachDatabase('branches of a transaction of typeorm-transactional', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({ database, providers: [Notes], onDataSource: addTransactionalDataSource });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(async () => {
    deleteDataSourceByName('default');
    await recording.dispose();
  });

  const operations: Operations = {
    write: (text) => notes.notes.insert({ text }),
    record: (text) => recording.events.record(noteWritten(text)),
    both: (text) => notes.decorated(text),
    nest: (work) => recording.app.dataSource.manager.transaction(() => work(operations)),
  };

  it('are stored with their events or not at all', async () => {
    await expectPlansToAgree(recording, { transaction: (work) => runInTransaction(() => work(operations)) });
  });

  it('that go on after a sibling has failed are refused, with repositories and with transactions of their own', async () => {
    const ended = deferred();
    const left: Promise<unknown>[] = [];
    const branch = (work: () => Promise<unknown>): void => void left.push(ended.promise.then(work));
    const transaction = runInTransaction(async (): Promise<void> => {
      await notes.notes.insert({ text: 'undone' });
      branch(() => notes.notes.insert({ text: 'left behind' }));
      branch(() => runInTransaction(() => notes.notes.insert({ text: 'left behind' })));
      branch(() => recording.events.record(noteWritten('left behind')));
      throw new Error('undo');
    });
    await expect(transaction).rejects.toThrow('undo');
    ended.resolve();
    for (const work of left) await expect(work).rejects.toThrow(TransactionEndedError);
    expect(await recording.notes()).toEqual([]);
    expect(await recording.stored()).toEqual([]);
  });
});
