import { AsyncResource } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import type { DataSource, EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import type { Cause } from '../event/cause';
import type { DatabasePort } from '../database/port';
import { Stores } from '../database/stores';
import { causesOf, TransactionEndedError } from '../event/errors';
import { CallChain, type Frame } from './call-chain';
import { CommittedEvents } from './committed-events';
import type { IsolationLevel } from './isolation-level';
import { guardIn, type Guarding, QueryRunnerGuard } from './query-runner-guard';
import { refusingQueryRunner } from './refusing-query-runner';
import type { JoinedFunction, TransactionLevel } from './transaction-level';
import { type AmbientTransactions, letDataSourceTakePart, letManagerTakePart } from './transaction-participation';

/** A level that is open, and what it is on. */
export interface OpenLevel {
  readonly level: TransactionLevel;
  readonly guard: QueryRunnerGuard;
}

/**
 * Which transaction the present asynchronous call chain is in.
 *
 * In *joined* transactions, which this library opened or joined, repositories, `dataSource.manager`, `dataSource.query` and
 * `dataSource.createQueryBuilder` take part, because the DataSource's own manager answers with the transaction's query runner.
 * Others, which the application opened with `dataSource.transaction(…)`, also by way of `@nestjs-cls/transactional` or
 * `typeorm-transactional`, are only *seen*, so that events recorded in them find them; what the application's repositories do in
 * there stays as it was.
 */
@Injectable()
export class TransactionContext {
  private readonly chain = new CallChain();
  private readonly guarding = new WeakMap<DataSource, Guarding>();
  private readonly managers = new WeakSet<EntityManager>();
  private readonly ambient: AmbientTransactions = {
    joinedRunner: (dataSource) => this.joinedRunner(dataSource),
    transact: (...args) => this.transact(...args),
    guard: (queryRunner) => void this.guardOf(queryRunner),
    runOutside: (work) => this.outside(work),
  };
  private readonly subscriber: EntitySubscriberInterface = {
    afterQuery: ({ queryRunner, query, rawResults }) => guardIn(queryRunner)?.watch(query, rawResults),
  };

  constructor(
    stores: Stores,
    private readonly committed: CommittedEvents,
  ) {
    for (const { dataSource, database } of stores.all) this.attach(dataSource, database);
  }

  /** Let a manager take part that was created before its DataSource was attached: that of an application's repository class. */
  adopt(manager: EntityManager): void {
    if (this.managers.has(manager) || !this.guarding.has(dataSourceOf(manager))) return;
    this.managers.add(manager);
    if (!Object.hasOwn(manager, 'queryRunner')) letManagerTakePart(manager, this.ambient);
  }

  /** The DataSource of the innermost transaction of this call chain. */
  innermost(): DataSource | undefined {
    return this.chain.innermost?.dataSource;
  }

  /**
   * The level that this call chain is in, on this DataSource.
   * @param what is begun in it, for the message
   * @throws TransactionEndedError when its end has been decided
   */
  current(dataSource: DataSource, what: string): OpenLevel | undefined {
    const frame = this.chain.onDataSource(dataSource);
    if (!frame) return undefined;
    const guard = this.guardOf(frame.queryRunner);
    guard.share();
    return { guard, level: guard.levelIn(frame, what) };
  }

  /**
   * The level that a query runner is in.
   * @param what is begun in it, for the message
   * @throws TransactionEndedError when its end has been decided
   */
  levelOf(queryRunner: QueryRunner, what: string): OpenLevel | undefined {
    const guard = this.guardOf(queryRunner);
    guard.share();
    const level = guard.present(what);
    return level && { guard, level };
  }

  /** Run a function as in no transaction. */
  outside<T>(work: () => T): T {
    return this.chain.run(undefined, work);
  }

  /**
   * Run a function in the transaction that this call chain is in, or in a new one that commits when the function's promise
   * fulfils and rolls back when it rejects.
   * @param retries how often the function is run again, in another new transaction, after a deadlock
   * @throws TransactionAbortedError when the database rolled back at the commit, because a statement had failed before
   */
  run<T>(
    dataSource: DataSource,
    isolation: IsolationLevel | undefined,
    work: () => Promise<T> | T,
    retries = 0,
  ): Promise<T> {
    const current = this.current(dataSource, 'A transaction was joined');
    if (current) return this.join(current, work);
    const queryRunner = dataSource.createQueryRunner();
    const done = this.runNew(queryRunner, isolation, (open) => this.join(open, work));
    if (!(retries > 0)) return done;
    return done.catch((error: unknown) => {
      if (!this.isDeadlock(dataSource, error)) throw error;
      return this.run(dataSource, isolation, work, retries - 1);
    });
  }

  /** Also one that was wrapped on its way, or swallowed. */
  private isDeadlock(dataSource: DataSource, error: unknown): boolean {
    const database = this.guarding.get(dataSource)?.database;
    return causesOf(error).some((each) => database?.isDeadlock(each));
  }

  /** Run a function in a new transaction on a query runner of the caller's, whatever transaction this call chain is in. */
  async runNew<T>(
    queryRunner: QueryRunner,
    isolation: IsolationLevel | undefined,
    work: (open: OpenLevel) => Promise<T> | T,
  ): Promise<T> {
    const guard = this.guardOf(queryRunner);
    guard.isOwn = true;
    try {
      const level = await guard.open(undefined, isolation);
      try {
        const result = await work({ guard, level });
        await guard.end(level, 'commit');
        guard.assertCommitted();
        return result;
      } catch (error) {
        await guard.rollBack(level);
        throw error;
      }
    } finally {
      await queryRunner.release();
    }
  }

  /** Whether this library has opened the query runner's transaction. */
  isOwn(queryRunner: QueryRunner): boolean {
    return guardIn(queryRunner)?.isOwn ?? false;
  }

  /** The events that this call chain handles, or compensates: none outside of a handler. */
  causes(): readonly Cause[] {
    return this.chain.causes();
  }

  private attach(dataSource: DataSource, database: DatabasePort): void {
    this.guarding.set(dataSource, {
      chain: this.chain,
      database,
      // Each time, because a DataSource that is initialized anew forgets its subscribers.
      onStart: () => {
        if (!dataSource.subscribers.includes(this.subscriber)) dataSource.subscribers.push(this.subscriber);
      },
      onCommit: (commit) => this.committed.handOver(commit),
    });
    this.managers.add(dataSource.manager);
    letDataSourceTakePart(dataSource, this.ambient);
  }

  private guardOf(queryRunner: QueryRunner): QueryRunnerGuard {
    const guard = guardIn(queryRunner);
    if (guard) return guard;
    const guarding = this.guarding.get(dataSourceOf(queryRunner));
    if (!guarding) throw new Error('the query runner belongs to a DataSource that is not followed');
    return new QueryRunnerGuard(queryRunner, guarding);
  }

  /** Run a function as part of a transaction that is open. */
  join<T>({ guard, level }: OpenLevel, work: () => Promise<T> | T, causes?: readonly Cause[]): Promise<T> {
    const joining = { isRunning: true };
    if (causes) guard.handle();
    const frame = this.frameOf(guard, level, true, joining, causes);
    return level.joinWith(joining, () => this.chain.run(frame, work));
  }

  /** What `manager.transaction(…)` does, which knows which level its start and its end are of. */
  private async transact<T>(
    manager: EntityManager,
    given: QueryRunner | undefined,
    isolation: IsolationLevel | undefined,
    work: (manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    const dataSource = dataSourceOf(manager);
    const frame = given ? undefined : this.chain.onDataSource(dataSource);
    if (frame?.isShown?.() === false) throw new TransactionEndedError('A transaction was begun');
    const present = given ?? (frame?.isJoined ? frame.queryRunner : undefined);
    const queryRunner = present ?? dataSource.createQueryRunner();
    const guard = this.guardOf(queryRunner);
    try {
      const level = await guard.open(guard.present('A transaction was begun'), isolation);
      try {
        // The transaction around it may have ended meanwhile.
        level.assertOpen('A nested transaction was begun');
        const result = await this.runSeen(this.frameOf(guard, level, false), work);
        await guard.end(level, 'commit');
        return result;
      } catch (error) {
        await guard.rollBack(level);
        throw error;
      }
    } finally {
      if (!present) await queryRunner.release();
    }
  }

  private runSeen<T>(frame: Frame, work: (manager: EntityManager) => Promise<T>): Promise<T> {
    const { dataSource, queryRunner } = frame;
    return this.chain.run(frame, () => {
      const result = work(queryRunner.manager);
      // With typeorm-transactional, the DataSource's manager is that of the transaction for as long as the function runs.
      const isShown = (): boolean => dataSource.manager.queryRunner === queryRunner;
      if (!frame.isJoined && isShown()) {
        const context = new AsyncResource('ReliableMq.SeenTransaction');
        frame.isShown = () => frame.level.isOpen && context.runInAsyncScope(isShown);
      }
      return result;
    });
  }

  private frameOf(
    guard: QueryRunnerGuard,
    level: TransactionLevel,
    joins: boolean,
    joining?: JoinedFunction,
    causes?: readonly Cause[],
  ): Frame {
    const { dataSource, queryRunner } = guard;
    const isJoined = joins || (this.chain.onQueryRunner(queryRunner)?.isJoined ?? false);
    return { dataSource, queryRunner, level, isJoined, runs: 'function', joining, causes, outer: this.chain.innermost };
  }

  private joinedRunner(dataSource: DataSource): QueryRunner | undefined {
    const frame = this.chain.onDataSource(dataSource);
    if (!frame) return undefined;
    const { queryRunner, level, runs, joining, isJoined, isShown } = frame;
    if (isJoined ? runs !== 'function' || level.takes(joining) : isShown?.() !== false) {
      return isJoined ? queryRunner : undefined;
    }
    return refusingQueryRunner(queryRunner, new TransactionEndedError('A statement was begun'));
  }
}
