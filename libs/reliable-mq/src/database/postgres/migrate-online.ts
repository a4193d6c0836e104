import type { DataSource, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { poolOf, type ConnectionPool, type PostgresClient } from './connection-pool';
import { buildOnlineStatements, indexesOf } from './migrations/build-index';
import type { SchemaMigration } from './migrations/schema-migration';
import { queryOn } from './sql';
import { sqlNamesOf } from './sql-names';

/** Whole tables of this size are read in a moment, which is how long an index that is built in a transaction keeps writers waiting. */
const SMALL_BYTES = 64 * 1024 * 1024;
/** Any number that nothing else uses. Not the one of the migrations' transactions: whoever waits for that one holds a snapshot, which a build waits for. */
const BUILD_LOCK = 7_262_318_455_202;
const ASKED_AGAIN_MS = 500;

/** Whether a transaction is the wrong place for the migration's indexes. */
export async function hasLargeTables(queryRunner: QueryRunner, migration: SchemaMigration): Promise<boolean> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  const tables = indexesOf(migration, names).map(({ table }) => table);
  const [row] = await queryOn<{ bytes: string | null }>(
    queryRunner,
    'SELECT max(pg_relation_size(to_regclass(name))) AS bytes FROM unnest($1::text[]) AS name',
    [tables],
  );
  return Number(row?.bytes ?? 0) > SMALL_BYTES;
}

/** Build the migration's indexes beside the application that runs. The query runner must have no transaction. */
export async function buildIndexesOnline(queryRunner: QueryRunner, migration: SchemaMigration): Promise<void> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  for (const index of indexesOf(migration, names)) {
    for (const statement of buildOnlineStatements(index, names)) await queryOn(queryRunner, statement);
  }
}

/**
 * Run work that no other instance does meanwhile, and that may take long. The lock is held by a transaction on a connection of its own, with no
 * statement and no snapshot, so that the build does not wait for it; it goes with the process, and works behind a connection pooler.
 */
export async function buildingAlone<T>(dataSource: DataSource, work: () => Promise<T>): Promise<T> {
  const pool = poolOf(dataSource) as ConnectionPool;
  const client = new pool.Client(pool.options);
  client.on('error', () => undefined);
  await client.connect();
  try {
    while (!(await hasLocked(client))) await new Promise((resolve) => setTimeout(resolve, ASKED_AGAIN_MS));
    return await work();
  } finally {
    void client.end().catch(() => undefined);
  }
}

async function hasLocked(client: PostgresClient): Promise<boolean> {
  // A build waits for the end of each transaction that has a snapshot when it looks: each question is a transaction.
  await client.query('BEGIN ISOLATION LEVEL READ COMMITTED', []);
  await client.query('SET LOCAL idle_in_transaction_session_timeout = 0', []);
  // Without parameters: the portal of a statement that has some keeps its snapshot until the transaction ends.
  const { rows } = await client.query(`SELECT pg_try_advisory_xact_lock(${BUILD_LOCK}) AS locked`, []);
  if ((rows as { locked: boolean }[])[0]?.locked) return true;
  await client.query('ROLLBACK', []);
  return false;
}
