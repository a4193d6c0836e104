import { DataSource, type QueryRunner } from 'typeorm';
import { createTestDatabase, type TestDatabase } from '../support/database';

interface Pool {
  readonly config: { readonly connectionLimit: number; readonly connectionConfig: object };
  readonly _connectionQueue: { readonly length: number };
  readonly _freeConnections: { readonly length: number };
}

interface Connection {
  readonly threadId: number;
  release(): void;
}

/** Each fails by its name when a package no longer has what the library relies on: see docs/adr/0033. */
describe('private parts of TypeORM and mysql2 that are relied on', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let queryRunner: QueryRunner;

  beforeAll(async () => {
    database = await createTestDatabase('mariadb');
    dataSource = await new DataSource({ type: 'mariadb', url: database.url, poolSize: 1 }).initialize();
  });
  beforeEach(() => (queryRunner = dataSource.createQueryRunner()));
  afterEach(() => queryRunner.release());
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const pool = (): Pool => (dataSource.driver as unknown as { pool: Pool }).pool;

  it('a DataSource has its pool, which has its size, its queue and what is free', async () => {
    expect(pool().config.connectionLimit).toBe(1);
    expect(pool().config.connectionConfig).toBeInstanceOf(Object);
    expect(pool()._freeConnections).toHaveLength(1);
    await queryRunner.connect();
    expect(pool()._freeConnections).toHaveLength(0);
    const other = dataSource.createQueryRunner();
    const waiting = other.connect();
    expect(pool()._connectionQueue).toHaveLength(1);
    await queryRunner.release();
    await waiting;
    await other.release();
  });

  it("a connection has the server's number of it", async () => {
    const { threadId } = (await queryRunner.connect()) as Connection;
    const [row] = (await queryRunner.query('SELECT CONNECTION_ID() AS id')) as [{ id: unknown }];
    expect(threadId).toBe(Number(row.id));
  });

  it('an answer without rows says whether a transaction is open', async () => {
    const isOpen = async (sql: string): Promise<boolean> => {
      const { serverStatus } = (await queryRunner.query(sql)) as { serverStatus: number };
      return (serverStatus & 1) === 1;
    };
    expect(await isOpen('DO 0')).toBe(false);
    expect(await isOpen('START TRANSACTION')).toBe(true);
    expect(await isOpen('DO 0')).toBe(true);
    expect(await isOpen('CREATE TABLE commits (id INT)')).toBe(false);
  });

  it('a query runner gives its connection back by a release of the connection, also by one of its own', async () => {
    const connection = (await queryRunner.connect()) as Connection;
    const release = jest.spyOn(connection, 'release');
    await queryRunner.release();
    expect(release).toHaveBeenCalledTimes(1);
    release.mockRestore();
  });

  it('a query runner sends the ends of transactions and savepoints in the words that PostgreSQL has', async () => {
    const sent: string[] = [];
    const query = queryRunner.query.bind(queryRunner) as (sql: string) => Promise<unknown>;
    queryRunner.query = ((sql: string) => {
      sent.push(sql);
      return query(sql);
    }) as QueryRunner['query'];
    await queryRunner.startTransaction();
    await queryRunner.startTransaction();
    await queryRunner.commitTransaction();
    await queryRunner.startTransaction();
    await queryRunner.rollbackTransaction();
    await queryRunner.commitTransaction();
    await queryRunner.startTransaction();
    await queryRunner.rollbackTransaction();
    expect(sent).toEqual([
      'START TRANSACTION',
      'SAVEPOINT typeorm_1',
      'RELEASE SAVEPOINT typeorm_1',
      'SAVEPOINT typeorm_1',
      'ROLLBACK TO SAVEPOINT typeorm_1',
      'COMMIT',
      'START TRANSACTION',
      'ROLLBACK',
    ]);
  });
});
