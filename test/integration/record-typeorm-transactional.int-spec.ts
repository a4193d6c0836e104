import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionalEvent } from 'nestjs-reliable-mq';
import { DataSource, Repository } from 'typeorm';
import {
  IsolationLevel,
  Propagation,
  StorageDriver,
  Transactional,
  addTransactionalDataSource,
  deleteDataSourceByName,
  initializeTransactionalContext,
  runInTransaction,
  runOnTransactionCommit,
} from 'typeorm-transactional';
import { describeEachDatabase } from '../support/each-database';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';
import { itSharesTransactions } from './transactional-styles';

// Before any repository is created, as its documentation has it.
initializeTransactionalContext({ storageDriver: StorageDriver.ASYNC_LOCAL_STORAGE });

const toEvent = (_: void, text: string): { text: string } => ({ text });

@Injectable()
class NoteRepository extends Repository<Note> {
  constructor(dataSource: DataSource) {
    super(Note, dataSource.createEntityManager());
  }
}

@Injectable()
class Notes {
  readonly hooks: string[] = [];

  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly custom: NoteRepository,
    readonly dataSource: DataSource,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, toEvent)
  async decorated(text: string): Promise<void> {
    await this.notes.insert({ text });
  }

  @Transactional()
  async outside(text: string, then?: () => void): Promise<void> {
    await this.notes.save({ text: `${text} (other)` });
    await this.decorated(text);
    await this.events.record(noteWritten(`${text} (other)`));
    then?.();
  }

  @TransactionalEvent(NoteWritten, toEvent)
  async inside(text: string, then?: () => void): Promise<void> {
    await this.notes.insert({ text });
    await this.transactional(`${text} (other)`);
    then?.();
  }

  @Transactional()
  async transactional(text: string): Promise<void> {
    await this.notes.insert({ text });
    await this.events.record(noteWritten(text));
    runOnTransactionCommit(() => this.hooks.push(text));
  }

  @Transactional()
  @TransactionalEvent(NoteWritten, toEvent)
  async above(text: string, then?: () => void): Promise<void> {
    await this.both(text, then);
  }

  @TransactionalEvent(NoteWritten, toEvent)
  @Transactional()
  async below(text: string, then?: () => void): Promise<void> {
    await this.both(text, then);
  }

  private get isPostgres(): boolean {
    return this.dataSource.options.type === 'postgres';
  }

  private async both(text: string, then: (() => void) | undefined): Promise<void> {
    await this.custom.save({ text });
    await this.dataSource.query(`INSERT INTO note (text) VALUES (${this.isPostgres ? '$1' : '?'})`, [
      `${text} (other)`,
    ]);
    await this.events.record(noteWritten(`${text} (other)`));
    then?.();
  }

  @Transactional({ isolationLevel: IsolationLevel.SERIALIZABLE })
  async isolation(): Promise<unknown> {
    // InnoDB knows of a transaction when it has done something.
    await this.notes.count();
    const rows: unknown = await this.dataSource.query(
      this.isPostgres
        ? 'SHOW transaction_isolation'
        : `SELECT LOWER(trx_isolation_level) AS transaction_isolation FROM information_schema.INNODB_TRX
           WHERE trx_mysql_thread_id = CONNECTION_ID()`,
    );
    return rows;
  }

  @Transactional({ propagation: Propagation.NESTED })
  async nested(text: string, then?: () => void): Promise<void> {
    await this.notes.insert({ text });
    await this.events.record(noteWritten(text));
    then?.();
  }

  @Transactional({ propagation: Propagation.REQUIRES_NEW })
  async independent(text: string): Promise<void> {
    await this.notes.insert({ text });
    await this.events.record(noteWritten(text));
  }

  @Transactional()
  async failAfter(work: () => Promise<void>): Promise<void> {
    await work();
    throw new Error('undo');
  }

  @TransactionalEvent(NoteWritten, () => null)
  async failAfterEvent(work: () => Promise<void>): Promise<void> {
    await work();
    throw new Error('undo');
  }

  @Transactional()
  async outer(text: string): Promise<void> {
    await this.nested(text);
    await this.nested('undone', () => {
      throw new Error('undo');
    }).catch(() => undefined);
  }

  @TransactionalEvent(NoteWritten, toEvent)
  async outerEvent(text: string): Promise<void> {
    await this.notes.insert({ text });
    await this.nested('undone', () => {
      throw new Error('undo');
    }).catch(() => undefined);
  }
}

// The DataSource may be added before Nest initializes it (dataSourceFactory), or when the application is there.
describeEachDatabase('typeorm-transactional', (database) => {
  describe.each(['before', 'after'] as const)(
    'beside typeorm-transactional, its DataSource added %s the module',
    (when) => {
      let recording: Recording;
      let notes: Notes;

      beforeAll(async () => {
        const add = (dataSource: DataSource): DataSource => addTransactionalDataSource(dataSource);
        recording = await Recording.start({
          database,
          providers: [Notes, NoteRepository],
          onDataSource: when === 'before' ? add : undefined,
        });
        if (when === 'after') add(recording.app.dataSource);
        notes = recording.app.get(Notes);
      });
      beforeEach(() => recording.reset());
      afterAll(async () => {
        await recording.dispose();
        deleteDataSourceByName('default');
      });

      itSharesTransactions(
        () => recording,
        () => notes,
        '(other)',
      );

      it('takes events that are recorded in @Transactional alone, and leaves its hooks and options as they are', async () => {
        notes.hooks.length = 0;
        await notes.transactional('a');
        await runInTransaction(() => notes.decorated('b'));
        await recording.expectEverywhere('a', 'b');
        expect(notes.hooks).toEqual(['a']);
        expect(await notes.isolation()).toEqual([{ transaction_isolation: 'serializable' }]);
      });

      it('follows its nested transactions', async () => {
        await notes.outer('a');
        await notes.outerEvent('b');
        await recording.expectEverywhere('a', 'b');
      });

      it('follows its independent transactions; inside of a joined transaction they are nested ones, on its connection', async () => {
        await expect(notes.failAfter(() => notes.independent('a'))).rejects.toThrow('undo');
        await recording.expectEverywhere('a');
        await expect(notes.failAfterEvent(() => notes.independent('undone'))).rejects.toThrow('undo');
        await recording.expectEverywhere('a');
      });

      it('keeps concurrent transactions apart', async () => {
        const texts = ['a', 'b', 'c', 'd', 'e', 'f'];
        const results = await Promise.allSettled(
          texts.map((text, index) =>
            notes.outside(text, () => {
              if (index % 2 === 1) throw new Error('undo');
            }),
          ),
        );
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
        await recording.expectEverywhere('a', 'a (other)', 'c', 'c (other)', 'e', 'e (other)');
      });

      it('leaves what is outside of any transaction alone', async () => {
        await notes.notes.insert({ text: 'a' });
        await notes.custom.save({ text: 'b' });
        expect(await recording.notes()).toEqual(['a', 'b']);
        await expect(notes.events.record(noteWritten('c'))).rejects.toThrow('outside a transaction');
      });
    },
  );
});
