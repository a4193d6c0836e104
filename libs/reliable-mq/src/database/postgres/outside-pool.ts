import type { DataSource } from 'typeorm';
import { within } from '../../wait/deadline';
import { DatabaseDeadlineError } from '../port';
import { type ConnectionPool, poolOf } from './connection-pool';

const OUTSIDE_DEADLINE_MS = 5000;

/** Run one statement on a new connection that is closed afterwards: the pool may be exhausted, or its sessions changed. */
export async function queryOutsidePool<Row>(
  dataSource: DataSource,
  sql: string,
  parameters: readonly unknown[],
): Promise<Row[]> {
  const pool = poolOf(dataSource) as ConnectionPool;
  const client = new pool.Client(pool.options);
  client.on('error', () => undefined);
  try {
    const { rows } = await within(
      OUTSIDE_DEADLINE_MS,
      client.connect().then(() => client.query(sql, parameters)),
      () => new DatabaseDeadlineError(`the database did not answer within ${OUTSIDE_DEADLINE_MS} ms`),
    );
    return rows as Row[];
  } catch (error) {
    // `end` closes only its own half of a connection that has not been made yet.
    if (error instanceof DatabaseDeadlineError) client.connection?.stream.destroy();
    throw error;
  } finally {
    void client.end().catch(() => undefined);
  }
}

/**
 * End the server's side of a connection, whatever it waits for: its transaction is rolled back and its locks are freed. Asked
 * outside the pool, because connections that hang may have taken all of it.
 */
export async function terminateBackend(dataSource: DataSource, serverProcess: number): Promise<void> {
  // Behind a connection pooler the process id is not the server's, and must not hit somebody else's session.
  await queryOutsidePool(
    dataSource,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE pid = $1 AND datname = current_database() AND usename = current_user AND xact_start IS NOT NULL`,
    [serverProcess],
  );
}
