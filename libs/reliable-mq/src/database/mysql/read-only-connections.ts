import type { DataSource, QueryRunner } from 'typeorm';
import { acquireQueryRunner, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { DatabaseReadOnlyError } from '../port';
import { connectionOf, idleConnectionsOf, onceReleased } from './connection';
import { ErrorNumber, errorNumber, isReadOnly } from './database-errors';
import { sqlNamesOf } from './sql-names';

/** DataSources whose idle connections are being looked at. */
const sweeping = new WeakMap<DataSource, Promise<void>>();
const dismissed = new WeakSet<object>();

/**
 * Give up the connection on which a statement was refused because the server takes no writes. After a failover the old primary may stay
 * up as a replica and keep its connections, while the address leads new ones to the new primary: a pool gives them out for as long as
 * they answer.
 */
export async function dismissIfReadOnly(
  dataSource: DataSource,
  queryRunner: QueryRunner,
  error: unknown,
): Promise<void> {
  if (!isReadOnly(error) || queryRunner.isReleased) return;
  await dismiss(queryRunner);
  void dismissIdle(dataSource);
}

/**
 * Nothing is changed: there is no such row. A server that takes no writes says so before it looks for one, also to those who have the right to write
 * all the same, and whatever it is that keeps it from writing.
 * @throws DatabaseReadOnlyError when the server takes no writes; the connection is given up then
 */
export async function mustTakeWrites(dataSource: DataSource, queryRunner: QueryRunner): Promise<void> {
  try {
    const table = sqlNamesOf(dataSource).outbox;
    await queryRunner.query(`UPDATE ${table} SET attempts = attempts WHERE id = X'00000000000000000000000000000000'`);
  } catch (error) {
    if (isReadOnly(error)) throw new DatabaseReadOnlyError();
    // It answers; what it lacks is said by others.
    if (errorNumber(error) !== ErrorNumber.NO_SUCH_TABLE && errorNumber(error) !== ErrorNumber.TABLE_ACCESS_DENIED)
      throw error;
  }
}

/** Give up those of the pool's idle connections that take no writes: they would each fail somebody's work first. */
export async function dismissIdle(dataSource: DataSource): Promise<void> {
  const sweep =
    sweeping.get(dataSource) ??
    Promise.all(Array.from({ length: idleConnectionsOf(dataSource) }, () => checkOne(dataSource))).then(
      () => void sweeping.delete(dataSource),
    );
  sweeping.set(dataSource, sweep);
  await sweep;
}

async function checkOne(dataSource: DataSource): Promise<void> {
  try {
    const queryRunner = await acquireQueryRunner(dataSource, STATEMENT_DEADLINE_MS);
    await mustTakeWrites(dataSource, queryRunner).finally(() => queryRunner.release());
  } catch {
    // It is given up, or lost.
  }
}

/** Its transaction may still have to be rolled back: it is closed when it is given back. */
async function dismiss(queryRunner: QueryRunner): Promise<void> {
  const connection = await connectionOf(queryRunner);
  if (dismissed.has(connection)) return;
  dismissed.add(connection);
  onceReleased(connection, (own) => own.destroy());
}
