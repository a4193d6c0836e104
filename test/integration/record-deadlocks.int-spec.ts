import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, TransactionalEvent, type TransactionOptions } from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { deferred } from '../support/deferred';
import { describeEachDatabase } from '../support/each-database';
import { Note, NoteWritten, noteWritten, Recording } from './record-harness';

/** Two transactions that take the same two rows in opposite orders. */
class Crossing {
  /** Of each text, how often it was run. */
  readonly runs: Record<string, number> = {};
  private readonly bothHold = deferred();
  private holding = 0;

  constructor(private readonly add: (id: number) => Promise<unknown>) {}

  async run(text: string, [first, second]: readonly number[]): Promise<void> {
    this.runs[text] = (this.runs[text] ?? 0) + 1;
    await this.add(first as number);
    this.holding += 1;
    if (this.holding === 2) this.bothHold.resolve();
    await this.bothHold.promise;
    await this.add(second as number);
  }

  get sum(): number {
    return Object.values(this.runs).reduce((sum, runs) => sum + runs, 0);
  }
}

const DEADLOCK = { postgres: '40P01', mariadb: 'ER_LOCK_DEADLOCK' } as const;

/** As the database answers them. */
const RAISED = {
  postgres: `DO $$ BEGIN RAISE SQLSTATE '40001'; END $$`,
  mariadb: `SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'`,
} as const;

@Injectable()
class Notes {
  constructor(
    @InjectRepository(Note) readonly repository: Repository<Note>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(NoteWritten, (_: void, text: string) => ({ text }), { retryOnDeadlock: 5 })
  async decorated(text: string, work: () => Promise<unknown>): Promise<void> {
    await this.repository.insert({ text });
    await work();
  }

  async transaction(text: string, work: () => Promise<unknown>, options: TransactionOptions = {}): Promise<void> {
    await this.events.transaction(async () => {
      await this.repository.insert({ text });
      await this.events.record(noteWritten(text));
      await work();
    }, options);
  }
}

describeEachDatabase('a deadlock in a transaction that records', (database) => {
  let recording: Recording;
  let notes: Notes;
  let crossing: Crossing;

  beforeAll(async () => {
    recording = await Recording.start({ database, providers: [Notes], poolSize: 8 });
    notes = recording.app.get(Notes);
    await recording.app.query('CREATE TABLE thing (id int PRIMARY KEY, n int NOT NULL)');
    await recording.app.query('INSERT INTO thing VALUES (1, 0), (2, 0)');
  });
  beforeEach(async () => {
    await recording.reset();
    await recording.app.query('UPDATE thing SET n = 0');
    crossing = new Crossing((id) => notes.repository.query(`UPDATE thing SET n = n + 1 WHERE id = ${id}`));
  });
  afterAll(() => recording.dispose());

  const both = (run: (text: string, order: readonly number[]) => Promise<unknown>): Promise<unknown>[] => [
    run('a', [1, 2]),
    run('b', [2, 1]),
  ];
  const raise = (): Promise<unknown> => notes.repository.query(RAISED[database]);
  const counted = async (): Promise<unknown> => recording.app.query('SELECT n FROM thing ORDER BY id');
  const settled = async (work: Promise<unknown>[]): Promise<readonly unknown[]> =>
    (await Promise.allSettled(work)).flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));

  describe.each<[string, (text: string, work: () => Promise<unknown>) => Promise<unknown>]>([
    ['@TransactionalEvent', (text, work) => notes.decorated(text, work)],
    ['events.transaction', (text, work) => notes.transaction(text, work, { retryOnDeadlock: 5 })],
  ])('with retryOnDeadlock (%s)', (_, transaction) => {
    it('has the one that lost run again: both commit once, and publish once', async () => {
      expect(await settled(both((text, order) => transaction(text, () => crossing.run(text, order))))).toEqual([]);
      expect(crossing.sum).toBe(3);
      expect(await counted()).toEqual([{ n: 2 }, { n: 2 }]);
      await recording.expectEverywhere('a', 'b');
    });

    it('has it run again when the error was wrapped on its way', async () => {
      const wrapped = (text: string, order: readonly number[]): Promise<unknown> =>
        transaction(text, () =>
          crossing.run(text, order).catch((cause: unknown) => {
            throw new Error('the things could not be counted', { cause });
          }),
        );
      expect(await settled(both(wrapped))).toEqual([]);
      await recording.expectEverywhere('a', 'b');
    });

    it('gives up when it happens once more than that, with the error of the database', async () => {
      let runs = 0;
      const failing = transaction('a', () => {
        runs += 1;
        return raise();
      });
      await expect(failing).rejects.toMatchObject({
        driverError: { code: database === 'postgres' ? '40001' : 'ER_LOCK_DEADLOCK' },
      });
      expect(runs).toBe(6);
      await recording.expectEverywhere();
    });

    it('runs nothing again for another error, or in a transaction that was joined', async () => {
      let runs = 0;
      const count = (then: () => Promise<unknown>) => (): Promise<unknown> => {
        runs += 1;
        return then();
      };
      await expect(
        transaction(
          'a',
          count(() => Promise.reject(new Error('no'))),
        ),
      ).rejects.toThrow('no');
      expect(runs).toBe(1);
      await expect(notes.transaction('outer', () => transaction('a', count(raise)))).rejects.toHaveProperty(
        'driverError',
      );
      expect(runs).toBe(2);
      const outside = recording.app.dataSource.transaction(() => transaction('a', count(raise)));
      await expect(outside).rejects.toHaveProperty('driverError');
      expect(runs).toBe(3);
      await recording.expectEverywhere();
    });
  });

  it('has what is serializable run again, when it could not have run one after the other', async () => {
    const read = deferred();
    let reading = 0;
    const add = async (): Promise<void> => {
      const [{ n }] = await notes.repository.query<[{ n: number }]>('SELECT n FROM thing WHERE id = 1');
      reading += 1;
      if (reading === 2) read.resolve();
      await read.promise;
      await notes.repository.query(`UPDATE thing SET n = ${n + 1} WHERE id = 1`);
    };
    const options = { isolation: 'SERIALIZABLE', retryOnDeadlock: 5 } as const;
    expect(await settled(both((text) => notes.transaction(text, add, options)))).toEqual([]);
    expect(await counted()).toEqual([{ n: 2 }, { n: 0 }]);
    await recording.expectEverywhere('a', 'b');
  });

  it("is the caller's error by default", async () => {
    const [lost, ...others] = await settled(
      both((text, order) => notes.transaction(text, () => crossing.run(text, order))),
    );
    expect(lost).toMatchObject({ driverError: { code: DEADLOCK[database] } });
    expect(others).toEqual([]);
    expect(crossing.sum).toBe(2);
    expect(await recording.notes()).toHaveLength(1);
  });

  // PostgreSQL refuses what follows, and answers the COMMIT by a rollback without saying why.
  if (database === 'mariadb') {
    it('has it run again also where the error was swallowed', async () => {
      const swallowing = (text: string, order: readonly number[]): Promise<unknown> =>
        notes.decorated(text, () => crossing.run(text, order).catch(() => undefined));
      expect(await settled(both(swallowing))).toEqual([]);
      await recording.expectEverywhere('a', 'b');
    });
  }

  it('is not to be asked for together with a manager', async () => {
    await recording.app.dataSource.transaction(async (manager) => {
      const options = { manager, retryOnDeadlock: 1 } as never;
      await expect(recording.events.transaction(() => 1, options)).rejects.toThrow(
        /with manager and with retryOnDeadlock: /,
      );
    });
  });
});
