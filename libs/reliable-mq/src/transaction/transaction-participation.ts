import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import type { IsolationLevel } from './isolation-level';

/** What a DataSource asks about the present call chain. */
export interface AmbientTransactions {
  /** The query runner that repositories and queries of this DataSource use now; undefined: one of their own. */
  joinedRunner(dataSource: DataSource): QueryRunner | undefined;
  /**
   * Run the application's function in a new transaction, or in a nested one.
   * @param given the manager's own query runner, if it has one
   */
  transact(
    manager: EntityManager,
    given: QueryRunner | undefined,
    isolation: IsolationLevel | undefined,
    work: TransactionWork,
  ): Promise<unknown>;
  /** Keep what is begun in this query runner's transactions inside of them. */
  guard(queryRunner: QueryRunner): void;
  /** Run a function as in no transaction. */
  runOutside<T>(work: () => T): T;
}

type TransactionWork = (manager: EntityManager) => Promise<unknown>;

/**
 * Let what hangs on a DataSource (repositories, query builders, `query`) take part in the transactions of the call chain. Own
 * properties of this one DataSource and of its managers are set; no prototype is changed.
 */
export function letDataSourceTakePart(dataSource: DataSource, ambient: AmbientTransactions): void {
  letManagerTakePart(dataSource.manager, ambient);

  const createQueryRunner = dataSource.createQueryRunner.bind(dataSource);
  dataSource.createQueryRunner = (mode) => {
    const queryRunner = createQueryRunner(mode);
    ambient.guard(queryRunner);
    return queryRunner;
  };

  // Repository classes of an application have a manager of their own: `super(Order, dataSource.createEntityManager())`.
  const createEntityManager = dataSource.createEntityManager.bind(dataSource);
  dataSource.createEntityManager = (queryRunner) => {
    const manager = createEntityManager(queryRunner);
    if (queryRunner) letTransactionsBeSeen(manager, queryRunner, ambient);
    else letManagerTakePart(manager, ambient);
    return manager;
  };

  const query = dataSource.query.bind(dataSource) as (...args: unknown[]) => Promise<unknown>;
  dataSource.query = ((sql: unknown, parameters: unknown, queryRunner: unknown) =>
    query(sql, parameters, queryRunner ?? ambient.joinedRunner(dataSource))) as DataSource['query'];

  const createQueryBuilder = dataSource.createQueryBuilder.bind(dataSource) as (...args: unknown[]) => unknown;
  dataSource.createQueryBuilder = ((entityOrRunner: unknown, alias: unknown, queryRunner: unknown) =>
    alias === undefined
      ? createQueryBuilder(entityOrRunner ?? ambient.joinedRunner(dataSource))
      : createQueryBuilder(
          entityOrRunner,
          alias,
          queryRunner ?? ambient.joinedRunner(dataSource),
        )) as DataSource['createQueryBuilder'];
}

/** The same for one manager that belongs to no query runner. */
export function letManagerTakePart(manager: EntityManager, ambient: AmbientTransactions): void {
  const dataSource = dataSourceOf(manager);
  Object.defineProperty(manager, 'queryRunner', {
    configurable: true,
    enumerable: true,
    get: () => ambient.joinedRunner(dataSource),
    set: () => undefined,
  });

  letTransactionsBeSeen(manager, undefined, ambient);

  // A repository keeps the query runner of the manager that made it, and the manager keeps the repository: make it outside.
  const getRepository = manager.getRepository.bind(manager) as (target: unknown) => unknown;
  manager.getRepository = ((target: unknown) =>
    ambient.runOutside(() => getRepository(target))) as EntityManager['getRepository'];
  const getTreeRepository = manager.getTreeRepository.bind(manager) as (target: unknown) => unknown;
  manager.getTreeRepository = ((target: unknown) =>
    ambient.runOutside(() => getTreeRepository(target))) as EntityManager['getTreeRepository'];
}

/** Let events find the transactions that the application opens with this manager, on whichever query runner. */
function letTransactionsBeSeen(
  manager: EntityManager,
  given: QueryRunner | undefined,
  ambient: AmbientTransactions,
): void {
  const transaction = manager.transaction.bind(manager) as (...args: unknown[]) => Promise<unknown>;
  // Called with (work), (work, undefined), (isolation, work): by applications, by DataSource.transaction, by other libraries.
  manager.transaction = async (...args: (TransactionWork | IsolationLevel | undefined)[]): Promise<unknown> => {
    const work = args.find((argument) => typeof argument === 'function');
    // TypeORM says what is wrong with these.
    if (!work || given?.isReleased) return transaction(...args);
    const [isolation] = args;
    return ambient.transact(manager, given, typeof isolation === 'string' ? isolation : undefined, work);
  };
}
