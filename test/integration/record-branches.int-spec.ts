import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Propagation, TransactionHost } from '@nestjs-cls/transactional';
import type { TransactionalAdapterTypeOrm } from '@nestjs-cls/transactional-adapter-typeorm';
import { EventRecorder, TransactionalEvent } from 'nestjs-reliable-mq';
import { type DataSource, type EntityManager, Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { expectPlansToAgree, type Operations, type TransactionStyle } from './branches-harness';
import { nestjsCls } from './nestjs-cls';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
    readonly host: TransactionHost<TransactionalAdapterTypeOrm>,
  ) {}

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async decorated(text: string): Promise<void> {
    await this.notes.insert({ text });
  }

  @TransactionalEvent(NoteWritten, () => null)
  async inOne(work: () => Promise<void>): Promise<void> {
    await work();
  }
}

/** Tables and outbox agree, whatever a transaction does at once, whatever of it fails, and whoever goes on all the same. */
describeEachDatabase('branches of one transaction', (database) => {
  let recording: Recording;
  let notes: Notes;
  let dataSource: DataSource;

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      providers: [Notes],
      imports: [nestjsCls()],
    });
    notes = recording.app.get(Notes);
    dataSource = recording.app.dataSource;
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  /** By repositories, in a transaction that they join. */
  const joined: Operations = {
    write: (text) => notes.notes.insert({ text }),
    record: (text) => recording.events.record(noteWritten(text)),
    both: (text) => notes.decorated(text),
    nest: (work) => dataSource.transaction(() => work(joined)),
  };

  /** By the manager that the application was given. */
  const by = (manager: EntityManager): Operations => ({
    write: (text) => manager.insert(Note, { text }),
    record: (text) => recording.events.record(noteWritten(text), { manager }),
    both: (text) => recording.events.transaction(() => notes.decorated(text), { manager }),
    nest: (work) => manager.transaction((nested) => work(by(nested))),
  });

  const byHand = async (work: (operations: Operations) => Promise<void>): Promise<void> => {
    const queryRunner = dataSource.createQueryRunner();
    await queryRunner.startTransaction();
    try {
      await work(by(queryRunner.manager));
      await queryRunner.commitTransaction();
    } catch (error) {
      await queryRunner.rollbackTransaction();
      throw error;
    } finally {
      await queryRunner.release();
    }
  };

  /** By the transaction host's own manager. */
  const hosted = (): Operations => {
    const manager = notes.host.tx;
    return {
      write: (text) => manager.insert(Note, { text }),
      record: (text) => recording.events.record(noteWritten(text)),
      both: (text) => notes.decorated(text),
      nest: async (work) => {
        // It would open one of its own.
        if (!notes.host.isTransactionActive()) throw new Error('the transaction has ended');
        await notes.host.withTransaction(Propagation.Nested, () => work(hosted()));
      },
    };
  };

  const styles: readonly ({ readonly name: string } & TransactionStyle)[] = [
    { name: '@TransactionalEvent', transaction: (work) => notes.inOne(() => work(joined)) },
    { name: 'events.transaction', transaction: (work) => recording.events.transaction(() => work(joined)) },
    {
      name: 'dataSource.transaction',
      transaction: (work) => dataSource.transaction((manager) => work(by(manager))),
    },
    { name: 'a query runner by hand', transaction: byHand },
    {
      name: '@nestjs-cls/transactional',
      transaction: (work) => notes.host.withTransaction(() => work(hosted())),
    },
  ];

  it.each(styles)('are stored with their events or not at all: $name', (style) => expectPlansToAgree(recording, style));
});
