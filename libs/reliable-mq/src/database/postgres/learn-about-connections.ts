import type { DataSource } from 'typeorm';
import { acquireQueryRunner, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { destroyConnection } from './deadline';
import { DatabaseDeadlineError } from '../port';
import { within } from '../../wait/deadline';
import { knowIdleLimit } from './idle-limit';
import { keepStatementsPrepared } from './prepared-statements';
import { queryOn } from './sql';

/** What statements have to know of a DataSource's sessions beside where the tables are. */
interface LearntAboutConnections {
  /** `server_encoding` of the database. */
  readonly encoding: string;
}

/**
 * Find out whether statements may stay prepared on this DataSource's connections. Not behind a connection pooler: one that
 * gives out a server per transaction may not know them there (PgBouncer before 1.21). A pooler shows a process id of its own
 * making, so the connection's is compared with the server's. And how long the server lets a transaction be idle, and which texts it can hold.
 */
export async function learnAboutConnections(dataSource: DataSource): Promise<LearntAboutConnections> {
  const queryRunner = await acquireQueryRunner(dataSource, STATEMENT_DEADLINE_MS);
  try {
    const { processID } = (await queryRunner.connect()) as { readonly processID?: number | null };
    const [row] = await within(
      STATEMENT_DEADLINE_MS,
      queryOn<{ pid: number; idle_limit_ms: string | null; encoding: string }>(
        queryRunner,
        `SELECT pg_backend_pid() AS pid, current_setting('server_encoding') AS encoding,
           (SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS idle_limit_ms`,
      ),
      () => new DatabaseDeadlineError('the database did not tell about the connection'),
    );
    if (row === undefined) throw new DatabaseDeadlineError('the database told nothing about the connection');
    knowIdleLimit(dataSource, Number(row.idle_limit_ms));
    if (row.pid === processID) keepStatementsPrepared(dataSource);
    return { encoding: row.encoding };
  } catch (error) {
    // Nobody else may get a connection that does not answer.
    if (error instanceof DatabaseDeadlineError) await destroyConnection(queryRunner, error);
    throw error;
  } finally {
    await queryRunner.release();
  }
}
