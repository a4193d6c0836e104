import { AsyncLocalStorage } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import type { DatabasePort } from '../database/port';
import { Stores } from '../database/stores';
import type { IsolationLevel } from './isolation-level';
import { TransactionAbortedError } from '../event/errors';
import { CommitTracker } from './commit-tracker';
import { type AmbientTransactions, letDataSourceTakePart, letManagerTakePart } from './transaction-participation';

/**
 * Which transaction the present asynchronous call chain is in.
 *
 * `joined` frames are transactions that this library opened or joined: inside them repositories, `dataSource.manager`,
 * `dataSource.query` and `dataSource.createQueryBuilder` take part, because the DataSource's own manager answers with the
 * frame's query runner. Other frames are transactions that the application opened with `dataSource.transaction(…)`, also by
 * way of `@nestjs-cls/transactional` or `typeorm-transactional`: they are only seen, so that events recorded in them find
 * them; what the application's repositories do in there stays as it was.
 */
interface Frame {
  readonly dataSource: DataSource;
  readonly queryRunner: QueryRunner;
  readonly joined: boolean;
  readonly outer: Frame | undefined;
  /** Whether the function that runs inside the transaction has not settled yet. */
  running: boolean;
}

@Injectable()
export class TransactionContext {
  private readonly frames = new AsyncLocalStorage<Frame | undefined>();
  private readonly databases = new WeakMap<DataSource, DatabasePort>();
  private readonly managers = new WeakSet<EntityManager>();
  private readonly own = new WeakSet<QueryRunner>();
  private readonly ambient: AmbientTransactions = {
    joinedRunner: (dataSource) => this.joinedRunner(dataSource),
    runSeen: (dataSource, queryRunner, work) => this.inside(dataSource, queryRunner, false, work),
    runOutside: (work) => this.frames.run(undefined, work),
  };

  constructor(
    private readonly commits: CommitTracker,
    stores: Stores,
  ) {
    for (const { dataSource, database } of stores.all) this.attach(dataSource, database);
  }

  /** Make a DataSource's transactions known here. */
  attach(dataSource: DataSource, database: DatabasePort): void {
    if (this.databases.has(dataSource)) return;
    this.databases.set(dataSource, database);
    this.commits.attach(dataSource);
    this.managers.add(dataSource.manager);
    letDataSourceTakePart(dataSource, this.ambient);
  }

  /** Let a manager take part that was created before its DataSource was attached: that of an application's repository class. */
  adopt(manager: EntityManager): void {
    if (this.managers.has(manager) || !this.databases.has(dataSourceOf(manager))) return;
    this.managers.add(manager);
    if (!Object.hasOwn(manager, 'queryRunner')) letManagerTakePart(manager, this.ambient);
  }

  /** The manager of the transaction that this call chain is in, on this DataSource. */
  current(dataSource: DataSource): EntityManager | undefined {
    return this.frame(dataSource)?.queryRunner.manager;
  }

  /** The DataSource of the innermost open transaction of this call chain. */
  innermost(): DataSource | undefined {
    for (let frame = this.frames.getStore(); frame; frame = frame.outer) {
      if (isPresent(frame)) return frame.dataSource;
    }
    return undefined;
  }

  /**
   * Run a function in the transaction that this call chain is in, or in a new one that commits when the function's promise
   * fulfils and rolls back when it rejects.
   * @throws TransactionAbortedError when the database rolled back at the commit, because a statement had failed before
   */
  async run<T>(dataSource: DataSource, isolation: IsolationLevel | undefined, work: () => Promise<T> | T): Promise<T> {
    const current = this.current(dataSource)?.queryRunner;
    if (current) return this.inside(dataSource, current, true, work);
    const queryRunner = dataSource.createQueryRunner();
    return this.runNew(queryRunner, isolation, () => this.inside(dataSource, queryRunner, true, work));
  }

  /** Run a function in a new transaction on a query runner of the caller's, whatever transaction this call chain is in. */
  async runNew<T>(
    queryRunner: QueryRunner,
    isolation: IsolationLevel | undefined,
    work: () => Promise<T> | T,
  ): Promise<T> {
    this.commits.attach(dataSourceOf(queryRunner));
    this.own.add(queryRunner);
    try {
      await queryRunner.startTransaction(isolation);
      const result = await work();
      await queryRunner.commitTransaction();
      // One that the function began inside and never ended: only its savepoint was released.
      if (queryRunner.isTransactionActive) throw new TransactionAbortedError('a nested transaction was left open');
      if (this.commits.wasRolledBack(queryRunner)) throw new TransactionAbortedError();
      return result;
    } catch (error) {
      // The error that matters is the first one. A rollback that fails means that the connection is gone, or in a transaction
      // that SQL of the application has begun, which nobody else may find in the pool.
      await rollBack(queryRunner).catch((failure: unknown) =>
        this.databases.get(dataSourceOf(queryRunner))?.discard(queryRunner, failure as Error),
      );
      throw error;
    } finally {
      await queryRunner.release();
    }
  }

  /** Whether this library has opened the query runner's transaction. */
  isOwn(queryRunner: QueryRunner): boolean {
    return this.own.has(queryRunner);
  }

  /** Waits for events that are being recorded in this query runner's transaction. @returns why one could not be */
  async failureOfRecordings(queryRunner: QueryRunner): Promise<{ readonly error: unknown } | undefined> {
    try {
      await this.commits.allRecorded(queryRunner);
      return undefined;
    } catch (error) {
      return { error };
    }
  }

  /** Run a function as part of this query runner's transaction. */
  async inside<T>(
    dataSource: DataSource,
    queryRunner: QueryRunner,
    join: boolean,
    work: () => Promise<T> | T,
  ): Promise<T> {
    const outer = this.frames.getStore();
    const joined = join || (outer?.queryRunner === queryRunner && outer.joined);
    const frame: Frame = { dataSource, queryRunner, joined, outer, running: true };
    try {
      return await this.frames.run(frame, work);
    } finally {
      frame.running = false;
    }
  }

  private joinedRunner(dataSource: DataSource): QueryRunner | undefined {
    const frame = this.frame(dataSource);
    return frame?.joined ? frame.queryRunner : undefined;
  }

  /** The innermost frame of the DataSource that still counts; work that outlives its transaction is in none. */
  private frame(dataSource: DataSource): Frame | undefined {
    for (let frame = this.frames.getStore(); frame; frame = frame.outer) {
      if (frame.dataSource === dataSource && isPresent(frame)) return frame;
    }
    return undefined;
  }
}

/** All of it: TypeORM ends one nested transaction at a time. */
async function rollBack(queryRunner: QueryRunner): Promise<void> {
  while (isOpen(queryRunner)) await queryRunner.rollbackTransaction();
}

function isOpen(queryRunner: QueryRunner): boolean {
  return queryRunner.isTransactionActive && !queryRunner.isReleased;
}

/**
 * A transaction that has lost its connection under a function that still runs stays that function's transaction: its further
 * statements must fail. On a connection of their own they would be committed, without what came before them.
 */
function isPresent({ queryRunner, running }: Frame): boolean {
  return isOpen(queryRunner) || (running && queryRunner.isReleased);
}
