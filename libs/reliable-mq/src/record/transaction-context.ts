import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type { IsolationLevel } from 'typeorm/driver/types/IsolationLevel';
import { TransactionAbortedError } from '../domain/errors';
import type { CommitTracker } from './commit-tracker';

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
}

export class TransactionContext {
  private readonly frames = new AsyncLocalStorage<Frame | undefined>();

  constructor(private readonly commits: CommitTracker) {}

  /** Make a DataSource's transactions known here. Own properties of this one DataSource are set; no prototype is changed. */
  attach(dataSource: DataSource): void {
    const { manager } = dataSource;
    Object.defineProperty(manager, 'queryRunner', {
      configurable: true,
      enumerable: true,
      get: () => this.joinedRunner(dataSource),
      set: () => undefined,
    });

    const transaction = manager.transaction.bind(manager) as (...args: unknown[]) => Promise<unknown>;
    manager.transaction = (async (...args: unknown[]): Promise<unknown> => {
      const callback = args.at(-1);
      if (typeof callback !== 'function') return transaction(...args);
      const seen = (txManager: EntityManager): unknown =>
        this.inside(dataSource, txManager.queryRunner as QueryRunner, false, () => callback(txManager) as unknown);
      return transaction(...args.slice(0, -1), seen);
    }) as EntityManager['transaction'];

    // A repository keeps the query runner of the manager that made it, and the manager keeps the repository: make it outside.
    const getRepository = manager.getRepository.bind(manager) as (target: unknown) => unknown;
    manager.getRepository = ((target: unknown) =>
      this.frames.run(undefined, () => getRepository(target))) as EntityManager['getRepository'];
    const getTreeRepository = manager.getTreeRepository.bind(manager) as (target: unknown) => unknown;
    manager.getTreeRepository = ((target: unknown) =>
      this.frames.run(undefined, () => getTreeRepository(target))) as EntityManager['getTreeRepository'];

    const query = dataSource.query.bind(dataSource) as (...args: unknown[]) => Promise<unknown>;
    dataSource.query = ((sql: unknown, parameters: unknown, queryRunner: unknown) =>
      query(sql, parameters, queryRunner ?? this.joinedRunner(dataSource))) as DataSource['query'];

    const createQueryBuilder = dataSource.createQueryBuilder.bind(dataSource) as (...args: unknown[]) => unknown;
    dataSource.createQueryBuilder = ((entityOrRunner: unknown, alias: unknown, queryRunner: unknown) =>
      alias === undefined
        ? createQueryBuilder(entityOrRunner ?? this.joinedRunner(dataSource))
        : createQueryBuilder(
            entityOrRunner,
            alias,
            queryRunner ?? this.joinedRunner(dataSource),
          )) as DataSource['createQueryBuilder'];
  }

  /** The manager of the transaction that this call chain is in, on this DataSource. */
  current(dataSource: DataSource): EntityManager | undefined {
    const frame = this.frame(dataSource);
    if (frame) return frame.queryRunner.manager;
    // typeorm-transactional puts its transaction's manager in place of the DataSource's.
    const { queryRunner } = dataSource.manager;
    return queryRunner && isOpen(queryRunner) ? queryRunner.manager : undefined;
  }

  /** The DataSource of the innermost open transaction of this call chain. */
  innermost(): DataSource | undefined {
    for (let frame = this.frames.getStore(); frame; frame = frame.outer) {
      if (isOpen(frame.queryRunner)) return frame.dataSource;
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
    try {
      await queryRunner.startTransaction(isolation);
      const result = await work();
      await queryRunner.commitTransaction();
      if (this.commits.wasRolledBack(queryRunner)) throw new TransactionAbortedError();
      return result;
    } catch (error) {
      // The error that matters is the first one; a rollback that fails means that the connection is gone, and so is the transaction.
      if (isOpen(queryRunner)) await queryRunner.rollbackTransaction().catch(() => undefined);
      throw error;
    } finally {
      await queryRunner.release();
    }
  }

  /** Run a function as part of this query runner's transaction. */
  inside<T>(dataSource: DataSource, queryRunner: QueryRunner, join: boolean, work: () => T): T {
    const outer = this.frames.getStore();
    const joined = join || (outer?.queryRunner === queryRunner && outer.joined);
    return this.frames.run({ dataSource, queryRunner, joined, outer }, work);
  }

  private joinedRunner(dataSource: DataSource): QueryRunner | undefined {
    const frame = this.frame(dataSource);
    return frame?.joined ? frame.queryRunner : undefined;
  }

  /** The innermost frame of the DataSource whose transaction is still open; work that outlives its transaction is in none. */
  private frame(dataSource: DataSource): Frame | undefined {
    for (let frame = this.frames.getStore(); frame; frame = frame.outer) {
      if (frame.dataSource === dataSource && isOpen(frame.queryRunner)) return frame;
    }
    return undefined;
  }
}

function isOpen(queryRunner: QueryRunner): boolean {
  return queryRunner.isTransactionActive && !queryRunner.isReleased;
}
