import { Injectable } from '@nestjs/common';
import { InjectDataSource, InjectEntityManager, InjectRepository } from '@nestjs/typeorm';
import {
  EventRecorder,
  InvalidSetupError,
  NoTransactionError,
  TransactionEndedError,
  type TransactionChoice,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { DataSource, EntityManager, type QueryRunner, Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

/** As TypeORM's and Nest's documentation have it: with a manager of its own. */
@Injectable()
class NoteRepository extends Repository<Note> {
  constructor(dataSource: DataSource) {
    super(Note, dataSource.createEntityManager());
  }

  async write(text: string): Promise<Note> {
    return this.save({ text });
  }
}

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly injected: Repository<Note>,
    readonly custom: NoteRepository,
    @InjectEntityManager() readonly manager: EntityManager,
    @InjectDataSource() readonly dataSource: DataSource,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, (note: Note) => ({ text: note.text }))
  async write(text: string): Promise<Note> {
    return this.injected.save({ text });
  }

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async writeTwice(text: string): Promise<void> {
    await this.write(`${text} (first)`);
    await this.injected.insert({ text });
  }

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }))
  async writeAndFail(text: string): Promise<void> {
    await this.write(`${text} (first)`);
    throw new Error('too late');
  }
}

/** A transaction sees what was committed before its first statement, and itself. */
const REPEATABLE = { isolation: 'REPEATABLE READ' } as const;

const insertOf = (text: string): string => `INSERT INTO note (text) VALUES ('${text}')`;

describeEachDatabase('recording in a transaction', (database) => {
  let recording: Recording;
  let notes: Notes;

  beforeAll(async () => {
    recording = await Recording.start({ database, providers: [Notes, NoteRepository], poolSize: 24 });
    notes = recording.app.get(Notes);
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  async function expectEverywhere(...texts: string[]): Promise<void> {
    expect(await recording.published()).toEqual(texts);
    expect(await recording.stored()).toEqual(texts);
    expect(await recording.notes()).toEqual([...texts].sort());
  }

  const failing = async (work: Promise<unknown>, message = 'undo'): Promise<void> => {
    await expect(work).rejects.toThrow(message);
  };

  describe('that @TransactionalEvent opens', () => {
    it('stores the row and the event together, publishes after the commit and returns the result', async () => {
      const note = await notes.write('a');
      expect(note).toMatchObject({ text: 'a', id: expect.any(Number) as number });
      await expectEverywhere('a');
    });

    it('keeps neither the row nor the event when the method throws, and lets the error through', async () => {
      await failing(notes.writeAndFail('a'), 'too late');
      await expectEverywhere();
    });

    it('is joined by another decorated method: one transaction, both events', async () => {
      await notes.writeTwice('a');
      await expectEverywhere('a (first)', 'a');
    });
  });

  describe('that the caller opened', () => {
    const openers: Readonly<Record<string, (work: () => Promise<unknown>) => Promise<unknown>>> = {
      'events.transaction': (work) => recording.events.transaction(work),
      'dataSource.transaction': (work) => recording.app.dataSource.transaction(() => work()),
      'dataSource.transaction with an isolation level': (work) =>
        recording.app.dataSource.transaction('SERIALIZABLE', () => work()),
      'the injected manager': (work) => notes.manager.transaction(() => work()),
      'the manager of a repository': (work) => notes.injected.manager.transaction(() => work()),
      "a repository class's own manager": (work) => notes.custom.manager.transaction(() => work()),
      "a QueryRunner's manager": (work) => withQueryRunner(({ manager }) => manager.transaction(() => work())),
      'a QueryRunner driven by hand, given by its manager': (work) =>
        withQueryRunner(async (queryRunner) => {
          await queryRunner.startTransaction();
          try {
            await recording.events.transaction(work, { manager: queryRunner.manager });
            await queryRunner.commitTransaction();
          } catch (error) {
            await queryRunner.rollbackTransaction();
            throw error;
          }
        }),
    };
    const withQueryRunner = async <T>(work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> => {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      try {
        return await work(queryRunner);
      } finally {
        await queryRunner.release();
      }
    };

    it.each(Object.entries(openers))('is joined by the decorator: %s', async (_, open) => {
      await failing(
        open(async () => {
          await notes.write('undone');
          throw new Error('undo');
        }),
      );
      await open(async () => {
        await notes.write('a');
        await recording.events.record(noteWritten('b'));
      });
      expect(await recording.published()).toEqual(['a', 'b']);
      expect(await recording.notes()).toEqual(['a']);
    });

    it('may be a QueryRunner driven by hand, by its manager', async () => {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      for (const [text, end] of [
        ['a', () => queryRunner.commitTransaction()],
        ['undone', () => queryRunner.rollbackTransaction()],
        ['b', () => queryRunner.commitTransaction()],
      ] as const) {
        await queryRunner.startTransaction();
        await queryRunner.manager.insert(Note, { text });
        await recording.events.record(noteWritten(text), { manager: queryRunner.manager });
        await end();
      }
      await queryRunner.release();
      await expectEverywhere('a', 'b');
    });

    it('must be open when it is given by its manager; otherwise nothing runs', async () => {
      const work = jest.fn();
      await withQueryRunner(async ({ manager }) => {
        const refused = recording.events.transaction(work, { manager });
        await expect(refused).rejects.toThrow(NoTransactionError);
        await expect(refused).rejects.toThrow(/has no open transaction. Begin it first/);
      });
      await expect(recording.events.transaction(work, { manager: recording.app.dataSource.manager })).rejects.toThrow(
        NoTransactionError,
      );
      expect(work).not.toHaveBeenCalled();
    });

    it('has its DataSource and its isolation: neither may be given with its manager', async () => {
      const work = jest.fn();
      await recording.app.dataSource.transaction(async (manager) => {
        // @ts-expect-error -- a manager has its DataSource
        const withName: TransactionChoice = { manager, dataSource: 'default' };
        // @ts-expect-error -- and its transaction an isolation level
        const withBoth: TransactionChoice = { manager, dataSource: 'default', isolation: 'SERIALIZABLE' };
        const refused = recording.events.transaction(work, withName);
        await expect(refused).rejects.toThrow(InvalidSetupError);
        await expect(refused).rejects.toThrow(
          /events\.transaction was called with manager and with dataSource: .* Leave out dataSource, or leave the manager out/,
        );
        await expect(recording.events.transaction(work, withBoth)).rejects.toThrow(
          /with manager and with dataSource and isolation: /,
        );
        expect(work).not.toHaveBeenCalled();
        await recording.events.transaction(work, { manager, dataSource: undefined, isolation: undefined });
        expect(work).toHaveBeenCalledTimes(1);
      });
    });

    it('is none when the manager that is given is undefined: one of its own would not be the one that was meant', async () => {
      await expect(
        recording.events.transaction(() => notes.events.record(noteWritten('a')), { manager: undefined }),
      ).rejects.toThrow('events.transaction was called with a manager that is undefined.');
      expect(await recording.stored()).toEqual([]);
    });

    it('may be given by its manager, though the call chain is in another one', async () => {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      await queryRunner.startTransaction();
      await failing(
        recording.events.transaction(async () => {
          await recording.events.record(noteWritten('outer'));
          await recording.events.record(noteWritten('given'), { manager: queryRunner.manager });
          throw new Error('undo');
        }),
      );
      await queryRunner.commitTransaction();
      await queryRunner.release();
      expect(await recording.published()).toEqual(['given']);
    });

    it('gives the event to the manager of its callback as well', async () => {
      await recording.app.dataSource.transaction(async (manager) => {
        await manager.insert(Note, { text: 'a' });
        await recording.events.record(noteWritten('a'), { manager });
      });
      await expectEverywhere('a');
    });
  });

  describe('lets take part', () => {
    const writers: Readonly<Record<string, (text: string) => Promise<unknown>>> = {
      'save of an injected repository': (text) => notes.injected.save({ text }),
      'insert of an injected repository': (text) => notes.injected.insert({ text }),
      'query builder of an injected repository': (text) =>
        notes.injected.createQueryBuilder().insert().values({ text }).execute(),
      'query of an injected repository': (text) => notes.injected.query(insertOf(text)),
      'an extended repository': (text) => notes.injected.extend({}).save({ text }),
      'save of a repository class': (text) => notes.custom.write(text),
      'insert of a repository class': (text) => notes.custom.insert({ text }),
      'a repository of the DataSource': (text) => recording.app.dataSource.getRepository(Note).save({ text }),
      'save of the injected manager': (text) => notes.manager.save(Note, { text }),
      'query of the injected manager': (text) => notes.manager.query(insertOf(text)),
      'query builder of the manager': (text) =>
        notes.manager.createQueryBuilder().insert().into(Note).values({ text }).execute(),
      'query of the DataSource': (text) => notes.dataSource.query(insertOf(text)),
      'template query of the DataSource': (text) => notes.dataSource.sql`INSERT INTO note (text) VALUES (${text})`,
      'query builder of the DataSource': (text) =>
        notes.dataSource.createQueryBuilder().insert().into(Note).values({ text }).execute(),
      'a manager created inside': (text) => notes.dataSource.createEntityManager().save(Note, { text }),
    };
    const readers: Readonly<Record<string, () => Promise<number>>> = {
      'find of an injected repository': () => notes.injected.count(),
      'find of a repository class': async () => (await notes.custom.find()).length,
      'select query builder of an injected repository': () => notes.injected.createQueryBuilder('n').getCount(),
      'select query builder of the DataSource': () => notes.dataSource.createQueryBuilder(Note, 'n').getCount(),
      'from of the DataSource': () => notes.dataSource.createQueryBuilder().select().from(Note, 'n').getCount(),
    };

    it.each(Object.entries(writers))('%s', async (_, write) => {
      await failing(
        recording.events.transaction(async () => {
          await write('undone');
          throw new Error('undo');
        }),
      );
      expect(await recording.notes()).toEqual([]);

      await recording.events.transaction(() => write('kept'));
      expect(await recording.notes()).toEqual(['kept']);

      await write('outside');
      expect(await recording.notes()).toEqual(['kept', 'outside']);
    });

    it.each(Object.entries(readers))('%s, which sees what is not committed yet', async (_, read) => {
      await recording.events.transaction(async () => {
        await notes.injected.insert({ text: 'a' });
        expect(await read()).toBe(1);
      });
      await failing(
        recording.events.transaction(async () => {
          await notes.injected.insert({ text: 'b' });
          throw new Error('undo');
        }),
      );
      expect(await read()).toBe(1);
    });

    it('nothing but the caller’s own manager, where the application opened the transaction itself and nothing joined it', async () => {
      await failing(
        recording.app.dataSource.transaction(async (manager) => {
          await manager.insert(Note, { text: 'inside' });
          await notes.injected.insert({ text: 'on its own' });
          throw new Error('undo');
        }),
      );
      expect(await recording.notes()).toEqual(['on its own']);
    });
  });

  describe('after its end', () => {
    it('refuses work that was left behind, whatever it is: repositories, transactions, recording', async () => {
      const ended = deferred();
      const left: Promise<unknown>[] = [];
      const { dataSource } = recording.app;
      await recording.events.transaction(async (): Promise<void> => {
        await notes.injected.insert({ text: 'inside' });
        const late: readonly (() => Promise<unknown>)[] = [
          () => notes.injected.insert({ text: 'left behind' }),
          () => notes.custom.save({ text: 'left behind' }),
          () => notes.injected.createQueryBuilder().insert().values({ text: 'left behind' }).execute(),
          () => dataSource.query(`INSERT INTO note (text) VALUES ('left behind')`),
          () => dataSource.transaction((manager) => manager.insert(Note, { text: 'left behind' })),
          () => recording.events.transaction(() => notes.injected.insert({ text: 'left behind' })),
          () => recording.events.record(noteWritten('left behind')),
        ];
        left.push(...late.map((work) => ended.promise.then(work)));
      });
      ended.resolve();
      for (const work of left) {
        await expect(work).rejects.toThrow(TransactionEndedError);
        await expect(work).rejects.toThrow(/Promise\.allSettled.*events\.outside/);
      }
      expect(await recording.notes()).toEqual(['inside']);
      expect(await recording.stored()).toEqual([]);
    });

    it('lets work go on that was begun outside of it', async () => {
      const ended = deferred();
      let left: Promise<unknown> | undefined;
      await recording.events.transaction(() => {
        left = recording.events.outside(async () => {
          await notes.injected.insert({ text: 'beside' });
          await ended.promise;
          await recording.events.transaction(async () => {
            await notes.injected.insert({ text: 'after' });
            await recording.events.record(noteWritten('after'));
          });
        });
      });
      ended.resolve();
      await left;
      expect(await recording.notes()).toEqual(['after', 'beside']);
      expect(await recording.stored()).toEqual(['after']);
    });

    it('leaves repositories alone in a transaction of the application’s that they never joined', async () => {
      const ended = deferred();
      const left: Promise<unknown>[] = [];
      await recording.app.dataSource.transaction(async (manager): Promise<void> => {
        await manager.insert(Note, { text: 'inside' });
        left.push(ended.promise.then(() => notes.injected.insert({ text: 'on its own' })));
        left.push(ended.promise.then(() => manager.insert(Note, { text: 'left behind' })));
        left.push(ended.promise.then(() => recording.events.record(noteWritten('left behind'))));
      });
      ended.resolve();
      await left[0];
      await expect(left[1]).rejects.toThrow(TransactionEndedError);
      await expect(left[2]).rejects.toThrow(TransactionEndedError);
      expect(await recording.notes()).toEqual(['inside', 'on its own']);
      expect(await recording.stored()).toEqual([]);
    });

    it('is not found by the caller', async () => {
      await recording.events.transaction(() => notes.injected.insert({ text: 'a' }));
      await expect(recording.events.record(noteWritten('a'))).rejects.toThrow(NoTransactionError);
    });

    it.each([
      ['commits', 'commitTransaction'],
      ['rolls back', 'rollbackTransaction'],
    ] as const)('does not take an event that nobody awaited: the transaction waits for it and %s', async (_, end) => {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      await queryRunner.startTransaction();
      const left = recording.events.record(noteWritten('a'), { manager: queryRunner.manager });
      await queryRunner[end]();
      await queryRunner.release();
      await left;

      const texts = end === 'commitTransaction' ? ['a'] : [];
      expect(await recording.stored()).toEqual(texts);
      expect(await recording.published()).toEqual(texts);
    });

    it('has not committed, when an event that nobody awaited turned out to be invalid', async () => {
      const left: Promise<unknown>[] = [];
      await failing(
        recording.events.transaction(async () => {
          await notes.injected.insert({ text: 'undone' });
          left.push(recording.events.record(new NoteWritten()));
        }),
        'text must be a string',
      );
      await expect(left[0]).rejects.toThrow('text must be a string');
      expect(await recording.notes()).toEqual([]);
    });
  });

  it('does not let a repository keep the query runner of the transaction it was first asked for in', async () => {
    const { dataSource } = recording.app;
    // By its name, as nobody has asked for it before.
    const repository = await recording.events.transaction(() => dataSource.getRepository<Note>(Note.name));
    expect(repository.queryRunner).toBeUndefined();
    await repository.createQueryBuilder().insert().values({ text: 'a' }).execute();
    expect(await repository.count()).toBe(1);
  });

  it('keeps 20 concurrent transactions apart', async () => {
    const texts = Array.from({ length: 20 }, (_, index) => `note ${String(index).padStart(2, '0')}`);
    const allInserted = deferred();
    let inserted = 0;
    const results = await Promise.allSettled(
      texts.map((text, index) =>
        recording.events.transaction(async () => {
          await notes.injected.insert({ text });
          inserted += 1;
          if (inserted === texts.length) allInserted.resolve();
          await allInserted.promise;
          expect((await notes.custom.find()).map((note) => note.text)).toEqual([text]);
          await recording.events.record(noteWritten(text));
          if (index % 2 === 1) throw new Error('undo');
        }, REPEATABLE),
      ),
    );
    const committed = texts.filter((_, index) => index % 2 === 0);
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(10);
    expect((await recording.published()).sort()).toEqual(committed);
    expect(await recording.notes()).toEqual(committed);
  });

  it('publishes in the order of the commits, not of the recordings', async () => {
    const first = deferred();
    const recorded = deferred();
    const slow = recording.events.transaction(async () => {
      await recording.events.record(noteWritten('recorded first'));
      recorded.resolve();
      await first.promise;
    });
    await recorded.promise;
    await recording.events.transaction(() => recording.events.record(noteWritten('committed first')));
    first.resolve();
    await slow;
    for (const text of ['c', 'd', 'e']) await notes.write(text);
    expect(await recording.published()).toEqual(['committed first', 'recorded first', 'c', 'd', 'e']);
  });

  it('keeps the order of the events of one transaction', async () => {
    const texts = Array.from({ length: 50 }, (_, index) => `event ${index}`);
    await recording.events.transaction(async () => {
      for (const text of texts) await recording.events.record(noteWritten(text));
    });
    expect(await recording.published()).toEqual(texts);
    expect(await recording.stored()).toEqual(texts);
  });
});

describe('a transaction on PostgreSQL', () => {
  let recording: Recording;
  beforeAll(async () => (recording = await Recording.start()));
  afterAll(() => recording.dispose());

  it('takes the isolation level that it is given', async () => {
    const level = async (): Promise<unknown> =>
      (await recording.app.dataSource.query<{ transaction_isolation: string }[]>('SHOW transaction_isolation'))[0]
        ?.transaction_isolation;
    expect(await recording.events.transaction(level, { isolation: 'SERIALIZABLE' })).toBe('serializable');
    expect(await recording.events.transaction(level, { isolation: 'REPEATABLE READ' })).toBe('repeatable read');
    expect(await recording.events.transaction(level)).toBe('read committed');
    // One that is joined keeps its own.
    const joined = recording.events.transaction(() =>
      recording.events.transaction(level, { isolation: 'SERIALIZABLE' }),
    );
    expect(await joined).toBe('read committed');
  });
});
