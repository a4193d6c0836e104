import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionAbortedError, TransactionalEvent } from 'nestjs-reliable-mq';
import { type EntityManager, QueryFailedError, type QueryRunner, Repository } from 'typeorm';
import { describeEachDatabase } from '../support/each-database';
import { eventually } from '../support/eventually';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly notes: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  async write(text: string): Promise<void> {
    await this.notes.insert({ text });
    await this.events.record(noteWritten(text));
  }

  @TransactionalEvent(NoteWritten, () => ({ text: 'decorated' }))
  async decorated(work: () => Promise<unknown>): Promise<void> {
    await work();
  }

  @TransactionalEvent(NoteWritten, () => null)
  async decoratedWithoutEvent(work: () => Promise<unknown>): Promise<void> {
    await work();
  }
}

describeEachDatabase('what was rolled back', (database) => {
  const isPostgres = database === 'postgres';
  let recording: Recording;
  let notes: Notes;
  const committedHook = jest.fn();

  beforeAll(async () => {
    recording = await Recording.start({
      database,
      providers: [Notes],
      reliableMq: { hooks: { committed: committedHook } },
    });
    notes = recording.app.get(Notes);
    if (isPostgres)
      await recording.app.query('ALTER TABLE note ADD CONSTRAINT one_text UNIQUE (text) DEFERRABLE INITIALLY DEFERRED');
  });
  beforeEach(() => recording.reset());
  afterAll(() => recording.dispose());

  async function expectEverywhere(...texts: string[]): Promise<void> {
    expect(await recording.published()).toEqual(texts);
    expect(await recording.stored()).toEqual(texts);
    expect(await recording.notes()).toEqual([...texts].sort());
  }

  const undo = new Error('undo');
  const swallowed = async (work: Promise<unknown>): Promise<void> => {
    await work.catch((error: unknown) => expect(error).toBe(undo));
  };

  describe('in a nested transaction', () => {
    /** Three levels; `ends` says of each, from the outermost in, whether it commits. Each writes before and after the next. */
    async function threeLevels(
      nest: (work: () => Promise<void>) => Promise<void>,
      [outer, middle, inner]: readonly [boolean, boolean, boolean],
    ): Promise<void> {
      const level = (name: string, commits: boolean, work?: () => Promise<void>) => async (): Promise<void> => {
        await notes.write(`${name} before`);
        await work?.();
        await notes.write(`${name} after`);
        if (!commits) throw undo;
      };
      const third = async (): Promise<void> => swallowed(nest(level('3', inner)));
      const second = async (): Promise<void> => swallowed(nest(level('2', middle, third)));
      await swallowed(recording.events.transaction(level('1', outer, second)));
    }

    const ALL: readonly (readonly [boolean, boolean, boolean])[] = [0, 1, 2, 3, 4, 5, 6, 7].map(
      (bits) => [(bits & 4) > 0, (bits & 2) > 0, (bits & 1) > 0] as const,
    );

    it.each(ALL)(
      'drops its events, and those of the ones inside it, and no others (commits: %s, %s, %s)',
      async (...ends) => {
        await threeLevels((work) => recording.app.dataSource.transaction(work), ends);
        const [outer, middle, inner] = ends;
        const third = inner ? ['3 before', '3 after'] : [];
        const second = middle ? ['2 before', ...third, '2 after'] : [];
        await expectEverywhere(...(outer ? ['1 before', ...second, '1 after'] : []));
      },
    );

    it('does not drop those of another one that had been released before, on the same level', async () => {
      const { dataSource } = recording.app;
      await recording.events.transaction(async () => {
        await dataSource.transaction(() => notes.write('a'));
        await swallowed(
          dataSource.transaction(async () => {
            await notes.write('undone');
            throw undo;
          }),
        );
        await dataSource.transaction(() => notes.write('b'));
      });
      await expectEverywhere('a', 'b');
    });

    it('drops them too when it is one of a transaction manager', async () => {
      await recording.app.dataSource.transaction(async (manager) => {
        await recording.events.record(noteWritten('a'));
        await swallowed(
          manager.transaction(async (nested) => {
            await nested.insert(Note, { text: 'undone' });
            await recording.events.record(noteWritten('undone'), { manager: nested });
            await recording.events.record(noteWritten('undone, too'));
            throw undo;
          }),
        );
        await manager.transaction(() => recording.events.record(noteWritten('b')));
      });
      expect(await recording.published()).toEqual(['a', 'b']);
      expect(await recording.stored()).toEqual(['a', 'b']);
    });

    it('drops them too when a QueryRunner is driven by hand', async () => {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      const record = (text: string): Promise<string> =>
        recording.events.record(noteWritten(text), { manager: queryRunner.manager });
      await queryRunner.startTransaction();
      await record('a');
      await queryRunner.startTransaction();
      await record('undone');
      await queryRunner.startTransaction();
      await record('undone, though its savepoint was released');
      await queryRunner.commitTransaction();
      await queryRunner.rollbackTransaction();
      await queryRunner.startTransaction();
      await record('b');
      await queryRunner.commitTransaction();
      await queryRunner.commitTransaction();
      await queryRunner.release();
      expect(await recording.published()).toEqual(['a', 'b']);
      expect(await recording.stored()).toEqual(['a', 'b']);
    });
  });

  describe('by the application’s own SQL', () => {
    async function byHand(work: (queryRunner: QueryRunner, manager: EntityManager) => Promise<unknown>): Promise<void> {
      const queryRunner = recording.app.dataSource.createQueryRunner();
      try {
        await queryRunner.startTransaction();
        await work(queryRunner, queryRunner.manager);
        await queryRunner.commitTransaction();
      } finally {
        await queryRunner.release();
      }
    }

    it.each([
      ['ROLLBACK TO SAVEPOINT mine'],
      ['rollback to mine'],
      ['/* why */ ROLLBACK WORK TO SAVEPOINT mine'],
      // Several statements in one are not sent to others by default.
      ...(isPostgres ? [['SELECT 1; ROLLBACK TO SAVEPOINT mine']] : []),
    ])('is not published: %s', async (rollback) => {
      committedHook.mockClear();
      await byHand(async (queryRunner, manager) => {
        await recording.events.record(noteWritten('a'), { manager });
        await queryRunner.query('SAVEPOINT mine');
        await recording.events.record(noteWritten('undone'), { manager });
        await queryRunner.query(rollback);
        await recording.events.record(noteWritten('b'), { manager });
      });
      await eventually(() => expect(committedHook).toHaveBeenCalledTimes(1));
      expect(committedHook).toHaveBeenCalledWith([expect.anything(), expect.anything()]);
      expect((await recording.published()).sort()).toEqual(['a', 'b']);
      expect(await recording.stored()).toEqual(['a', 'b']);
    });

    it('is published when the savepoint was released', async () => {
      await byHand(async (queryRunner, manager) => {
        await queryRunner.query('SAVEPOINT mine');
        await recording.events.record(noteWritten('a'), { manager });
        await queryRunner.query('RELEASE SAVEPOINT mine');
      });
      await eventually(() => expect(recording.broker.messages('tap')).toHaveLength(1));
      expect(await recording.stored()).toEqual(['a']);
    });

    it.each(['ROLLBACK', 'rollback', ...(isPostgres ? ['ABORT'] : [])])(
      'is not published when all of it was rolled back: %s',
      async (rollback) => {
        await byHand(async (queryRunner, manager) => {
          await recording.events.record(noteWritten('undone'), { manager });
          await queryRunner.query(rollback);
        });
        expect(await recording.published()).toEqual([]);
        expect(await recording.stored()).toEqual([]);
      },
    );
  });

  // Elsewhere a statement that fails leaves the rest of its transaction, and nothing is checked at the commit only.
  if (isPostgres) {
    describe('by the database, because a statement had failed and its error was swallowed', () => {
      const failQuietly = (): Promise<unknown> => notes.notes.query('SELECT 1 / 0').catch(() => undefined);

      it('is not published, and events.transaction throws', async () => {
        const result = recording.events.transaction(async () => {
          await notes.write('undone');
          await failQuietly();
        });
        await expect(result).rejects.toThrow(TransactionAbortedError);
        await expect(result).rejects.toMatchObject({
          code: 'TRANSACTION_ABORTED',
          message: expect.stringContaining('swallowed') as string,
        });
        await expectEverywhere();
      });

      it('is not published, and the method with @TransactionalEvent throws', async () => {
        const failing = async (): Promise<void> => {
          await notes.write('undone');
          await failQuietly();
        };
        await expect(notes.decoratedWithoutEvent(failing)).rejects.toThrow(TransactionAbortedError);
        // Here the insert of its own event fails, before the commit.
        for (const work of [failing, failQuietly]) {
          const result = notes.decorated(work);
          await expect(result).rejects.toThrow(TransactionAbortedError);
          await expect(result).rejects.toMatchObject({
            code: 'TRANSACTION_ABORTED',
            message: expect.stringMatching(
              /before event "note\.written" was recorded, and the error was swallowed/,
            ) as string,
            cause: expect.objectContaining({
              message: expect.stringContaining('current transaction is aborted') as string,
            }) as Error,
          });
        }
        await expectEverywhere();
      });

      it('is told to whoever records next, and a nested transaction that is rolled back saves the rest', async () => {
        await recording.events.transaction(async () => {
          await notes.write('a');
          const nested = recording.app.dataSource.transaction(async () => {
            await failQuietly();
            await recording.events.record(noteWritten('undone'));
          });
          await expect(nested).rejects.toThrow(TransactionAbortedError);
          await notes.write('b');
        });
        await expectEverywhere('a', 'b');
      });

      it('is not published when the application opened the transaction', async () => {
        await recording.app.dataSource.transaction(async (manager) => {
          await manager.insert(Note, { text: 'undone' });
          await recording.events.record(noteWritten('undone'));
          await manager.query('SELECT 1 / 0').catch(() => undefined);
          // What becomes of its transaction is the application's to say: the database's own error.
          await expect(recording.events.record(noteWritten('undone'))).rejects.toThrow(QueryFailedError);
        });
        await expectEverywhere();
      });

      it('is not published when a savepoint of the failed statement’s was not the one rolled back to', async () => {
        await recording.events.transaction(async () => {
          await notes.write('a');
          await swallowed(
            recording.app.dataSource.transaction(async () => {
              await notes.write('undone');
              await failQuietly();
              throw undo;
            }),
          );
          await notes.write('b');
        });
        await expectEverywhere('a', 'b');
      });

      it('says nothing of the next transaction on the same query runner', async () => {
        const queryRunner = recording.app.dataSource.createQueryRunner();
        await queryRunner.startTransaction();
        await recording.events.record(noteWritten('undone'), { manager: queryRunner.manager });
        await queryRunner.query('SELECT 1 / 0').catch(() => undefined);
        await queryRunner.commitTransaction();
        await queryRunner.startTransaction();
        await recording.events.record(noteWritten('a'), { manager: queryRunner.manager });
        await queryRunner.commitTransaction();
        await queryRunner.release();
        expect(await recording.published()).toEqual(['a']);
        expect(await recording.stored()).toEqual(['a']);
      });
    });

    it('because the commit failed is not published, and the error reaches the caller', async () => {
      await recording.events.transaction(() => notes.write('a'));
      await expect(recording.events.transaction(() => notes.write('a'))).rejects.toThrow(/one_text/);
      await expect(notes.decorated(() => notes.write('a'))).rejects.toThrow(/one_text/);
      await expect(recording.app.dataSource.transaction(() => notes.decorated(() => notes.write('a')))).rejects.toThrow(
        /one_text/,
      );
      await expectEverywhere('a');
    });

    describe.each([true, false])('because a deferred trigger refused the commit (an event recorded: %s)', (records) => {
      /** Of a transaction that has failed before, for which the server answers COMMIT with ROLLBACK. */
      const IN_FAILED_TRANSACTION = '25P02';

      it.each(['23514', IN_FAILED_TRANSACTION])('with the code %s, is not said to be committed', async (code) => {
        await recording.app.query(`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'refused at the commit' USING ERRCODE = '${code}'; END $$`);
        await recording.app.query(`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse()`);
        try {
          const transaction = recording.events.transaction(async () => {
            await notes.notes.insert({ text: 'a' });
            if (records) await notes.events.record(noteWritten('a'));
          });
          await expect(transaction).rejects.toThrow('refused at the commit');
        } finally {
          await recording.app.query('DROP TRIGGER refuse ON note');
        }
        await expectEverywhere();
      });
    });
  }

  describe('because the connection was lost', () => {
    /** Kills the connection of the transaction that the call chain is in, and waits until the query runner has noticed. */
    async function killConnection(): Promise<void> {
      const { database } = recording;
      const session = await recording.events.transaction(() => database.sessionOf(recording.app.dataSource));
      await database.endSession(session);
      await eventually(async () => !(await database.hasSession(session)));
    }

    it('before the commit is not published, and the caller gets an error', async () => {
      await expect(
        recording.events.transaction(async () => {
          await notes.write('undone');
          await killConnection();
        }),
      ).rejects.toThrow();
      await expectEverywhere();
    });

    it('is not followed by statements on another connection, which would be committed without what came before', async () => {
      const after: Readonly<Record<string, () => Promise<unknown>>> = {
        save: () => notes.notes.save({ text: 'half' }),
        insert: () => notes.notes.insert({ text: 'half' }),
        query: () => recording.app.dataSource.query(`INSERT INTO note (text) VALUES ('half')`),
        'query builder': () =>
          recording.app.dataSource.createQueryBuilder().insert().into(Note).values({ text: 'half' }).execute(),
        'nested transaction': () => recording.app.dataSource.transaction(() => notes.notes.insert({ text: 'half' })),
        'joined transaction': () => recording.events.transaction(() => notes.notes.insert({ text: 'half' })),
        'decorated method': () => notes.decorated(() => notes.notes.insert({ text: 'half' })),
        recording: () => recording.events.record(noteWritten('half')),
      };
      const outcomes: Record<string, string> = {};
      await expect(
        recording.events.transaction(async () => {
          await notes.write('undone');
          await killConnection();
          for (const [name, work] of Object.entries(after)) {
            outcomes[name] = await work().then(
              () => 'worked',
              () => 'failed',
            );
          }
        }),
      ).rejects.toThrow();
      expect(outcomes).toEqual(Object.fromEntries(Object.keys(after).map((name) => [name, 'failed'])));
      await expectEverywhere();
    });

    it('is not followed by a decorated method in a transaction of its own, when the caller had opened the lost one', async () => {
      await expect(
        recording.app.dataSource.transaction(async (manager) => {
          await manager.insert(Note, { text: 'undone' });
          await killConnection();
          await notes.decorated(() => notes.write('half')).catch(() => undefined);
        }),
      ).rejects.toThrow();
      await expectEverywhere();
    });
  });
});
