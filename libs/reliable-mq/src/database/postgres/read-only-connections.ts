import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { DatabaseReadOnlyError } from '../port';
import { poolOf } from './connection-pool';
import { sqlState } from './database-errors';
import { acquireQueryRunner, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';

/** SQLSTATE read_only_sql_transaction. */
const READ_ONLY = '25006';

/** Connections that lead to a server which takes no writes. Their pool closes them when they are given back. */
const dismissed = new WeakSet<object>();
/** DataSources whose idle connections are being looked at. */
const sweeping = new WeakMap<DataSource, Promise<void>>();
const watched = new WeakSet<DataSource>();

/**
 * Give up each connection on which a statement, also one of the application's, was refused because the server takes no writes. After
 * a failover the old primary may stay up as a standby and keep its connections, while the address leads new ones to the new primary:
 * a pool gives them out for as long as they answer.
 */
export function giveUpReadOnlyConnections(dataSource: DataSource): void {
  if (watched.has(dataSource)) return;
  watched.add(dataSource);
  // What is ended when the pool is told of its release is not kept.
  poolOf(dataSource)?.on?.('release', (_error, client) => {
    if (dismissed.delete(client)) void client.end().catch(() => undefined);
  });
  const subscriber: EntitySubscriberInterface = {
    afterQuery: ({ success, error, queryRunner }) =>
      success ? undefined : dismissIfReadOnly(dataSource, queryRunner, error),
  };
  dataSource.subscribers.push(subscriber);
}

/** To be told what a statement has failed with that TypeORM does not know of. */
export async function dismissIfReadOnly(
  dataSource: DataSource,
  queryRunner: QueryRunner,
  error: unknown,
): Promise<void> {
  if (sqlState(error) !== READ_ONLY || queryRunner.isReleased) return;
  await dismiss(queryRunner);
  void dismissIdle(dataSource);
}

/** @throws DatabaseReadOnlyError when the server takes no writes; the connection is given up then */
export async function mustTakeWrites(queryRunner: QueryRunner): Promise<void> {
  const [row] = (await queryRunner.query('SHOW transaction_read_only')) as { transaction_read_only: string }[];
  if (row?.transaction_read_only !== 'on') return;
  await dismiss(queryRunner);
  throw new DatabaseReadOnlyError();
}

/** Give up those of the pool's idle connections that take no writes: they would each fail somebody's work first. */
export async function dismissIdle(dataSource: DataSource): Promise<void> {
  const sweep =
    sweeping.get(dataSource) ??
    Promise.all(Array.from({ length: poolOf(dataSource)?.idleCount ?? 0 }, () => checkOne(dataSource))).then(
      () => void sweeping.delete(dataSource),
    );
  sweeping.set(dataSource, sweep);
  await sweep;
}

async function checkOne(dataSource: DataSource): Promise<void> {
  try {
    const queryRunner = await acquireQueryRunner(dataSource, STATEMENT_DEADLINE_MS);
    await mustTakeWrites(queryRunner).finally(() => queryRunner.release());
  } catch {
    // It is given up, or lost.
  }
}

async function dismiss(queryRunner: QueryRunner): Promise<void> {
  dismissed.add((await queryRunner.connect()) as object);
}
