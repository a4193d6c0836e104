import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { Commit } from './committed-event';
import { CommitTracker } from './commit-tracker';
import type { CommittedEvent } from './committed-event';

/** What TypeORM's query runner shows of itself, driven step by step. */
class ScriptedRunner {
  isTransactionActive = false;
  isReleased = false;
  transactionDepth = 0;

  constructor(readonly dataSource: { subscribers: EntitySubscriberInterface[] }) {}

  get runner(): QueryRunner {
    return this as unknown as QueryRunner;
  }

  query(query: string, command?: string): void {
    for (const { afterQuery } of this.dataSource.subscribers) {
      void afterQuery?.({
        queryRunner: this.runner,
        query,
        rawResults: command === undefined ? undefined : { command },
      } as never);
    }
  }

  start(): void {
    this.isTransactionActive = true;
    this.query(this.transactionDepth === 0 ? 'START TRANSACTION' : `SAVEPOINT typeorm_${this.transactionDepth}`);
    this.transactionDepth += 1;
  }

  async commit(answer = 'COMMIT'): Promise<void> {
    for (const { beforeTransactionCommit } of this.dataSource.subscribers)
      await beforeTransactionCommit?.({ queryRunner: this.runner } as never);
    if (this.transactionDepth > 1) this.query(`RELEASE SAVEPOINT typeorm_${this.transactionDepth - 1}`);
    else {
      this.query('COMMIT', answer);
      this.isTransactionActive = false;
    }
    this.transactionDepth -= 1;
    for (const { afterTransactionCommit } of this.dataSource.subscribers)
      void afterTransactionCommit?.({ queryRunner: this.runner } as never);
  }

  async rollback(): Promise<void> {
    for (const { beforeTransactionRollback } of this.dataSource.subscribers)
      await beforeTransactionRollback?.({ queryRunner: this.runner } as never);
    if (this.transactionDepth > 1) this.query(`ROLLBACK TO SAVEPOINT typeorm_${this.transactionDepth - 1}`);
    else {
      this.query('ROLLBACK');
      this.isTransactionActive = false;
    }
    this.transactionDepth -= 1;
    for (const { afterTransactionRollback } of this.dataSource.subscribers)
      void afterTransactionRollback?.({ queryRunner: this.runner } as never);
  }
}

describe('CommitTracker', () => {
  let commits: Commit[];
  let tracker: CommitTracker;
  let dataSource: { subscribers: EntitySubscriberInterface[] };
  let runner: ScriptedRunner;

  beforeEach(() => {
    commits = [];
    tracker = new CommitTracker({ handOver: (commit) => void commits.push(commit) });
    dataSource = { subscribers: [] };
    tracker.attach(dataSource as unknown as DataSource);
    runner = new ScriptedRunner(dataSource);
  });

  const add = (...ids: string[]): void =>
    tracker.add(
      runner.runner,
      ids.map((id) => ({ id }) as CommittedEvent),
    );
  const handedOver = (): string[][] => commits.map(({ events }) => events.map(({ id }) => id));

  it('hands events over once, at the commit of the outermost transaction', async () => {
    runner.start();
    add('a');
    runner.start();
    add('b', 'c');
    await runner.commit();
    expect(commits).toEqual([]);
    await runner.commit();
    expect(handedOver()).toEqual([['a', 'b', 'c']]);
    expect(commits[0]).toMatchObject({ dataSource, doubtful: false });
    runner.start();
    await runner.commit();
    expect(commits).toHaveLength(1);
  });

  it('drops those of a savepoint that was rolled back, however deep they were', async () => {
    runner.start();
    add('a');
    runner.start();
    runner.start();
    add('deep');
    await runner.commit();
    await runner.rollback();
    runner.start();
    add('b');
    await runner.commit();
    await runner.commit();
    expect(handedOver()).toEqual([['a', 'b']]);
  });

  it('keeps those of a released savepoint when another one on its level is rolled back', async () => {
    runner.start();
    runner.start();
    add('kept');
    await runner.commit();
    runner.start();
    add('dropped');
    await runner.rollback();
    await runner.commit();
    expect(handedOver()).toEqual([['kept']]);
  });

  it('hands nothing over when everything was rolled back, or COMMIT was answered with ROLLBACK', async () => {
    runner.start();
    add('a');
    await runner.rollback();
    runner.start();
    add('b');
    await runner.commit('ROLLBACK');
    expect(commits).toEqual([]);
    expect(tracker.wasRolledBack(runner.runner)).toBe(true);
    runner.start();
    expect(tracker.wasRolledBack(runner.runner)).toBe(false);
    add('c');
    await runner.commit();
    expect(handedOver()).toEqual([['c']]);
  });

  it.each([
    'SAVEPOINT mine',
    'rollback to savepoint mine',
    'ROLLBACK TO mine',
    'RELEASE SAVEPOINT mine',
    'ROLLBACK',
    'ABORT',
    'END',
    "PREPARE TRANSACTION 'x'",
    '-- comment\nROLLBACK TO mine',
    'SELECT 1; rollback',
    'COMMIT AND CHAIN',
  ])('is in doubt after the application’s own %j', async (sql) => {
    runner.start();
    add('a');
    runner.query(sql);
    await runner.commit();
    expect(commits).toMatchObject([{ doubtful: true }]);
  });

  it.each(['INSERT INTO a VALUES (1)', 'SELECT * FROM weekend', 'UPDATE trend SET end_at = now()'])(
    'is in no doubt after %j',
    async (sql) => {
      runner.start();
      add('a');
      runner.query(sql);
      await runner.commit();
      expect(commits).toMatchObject([{ doubtful: false }]);
    },
  );

  it('keeps query runners apart', async () => {
    const other = new ScriptedRunner(dataSource);
    runner.start();
    other.start();
    add('a');
    tracker.add(other.runner, [{ id: 'b' } as CommittedEvent]);
    await other.rollback();
    await runner.commit();
    expect(handedOver()).toEqual([['a']]);
  });

  it('follows a DataSource that was initialized anew, and never twice', async () => {
    tracker.attach(dataSource as unknown as DataSource);
    expect(dataSource.subscribers).toHaveLength(1);
    dataSource.subscribers = [];
    runner.start();
    await tracker.whileRecording(runner.runner, async () => add('a'));
    await runner.commit();
    expect(handedOver()).toEqual([['a']]);
  });

  describe('lets a transaction not end before what is being recorded', () => {
    let insert: () => void;
    let recording: Promise<void>;

    beforeEach(() => {
      runner.start();
      recording = tracker.whileRecording(runner.runner, async () => {
        await new Promise<void>((resolve) => (insert = resolve));
        add('late');
      });
    });

    it('when it commits', async () => {
      const commit = runner.commit();
      insert();
      await commit;
      await recording;
      expect(handedOver()).toEqual([['late']]);
    });

    it('when it rolls back', async () => {
      const rollback = runner.rollback();
      insert();
      await rollback;
      await recording;
      expect(commits).toEqual([]);
    });

    it('and a failed recording fails the commit, not the rollback', async () => {
      insert();
      await recording;
      const failed = tracker.whileRecording(runner.runner, async () => {
        await Promise.resolve();
        throw new Error('invalid');
      });
      await expect(runner.commit()).rejects.toThrow('invalid');
      await expect(failed).rejects.toThrow('invalid');
      await runner.rollback();
      expect(commits).toEqual([]);
    });
  });
});
