import type { DataSource, QueryRunner } from 'typeorm';
import { onAbort } from '../../wait/on-abort';
import { NoConnectionError } from '../port';

/** How long a statement of this library may take, in milliseconds, before its connection counts as dead. */
export const STATEMENT_DEADLINE_MS = 30_000;

/**
 * A query runner with a connection. One that the pool gives too late goes back to it.
 * @param timeoutMs how long to wait, in milliseconds
 * @param stop do not wait any longer than this
 * @throws NoConnectionError when there is none
 */
export function acquireQueryRunner(
  dataSource: DataSource,
  timeoutMs: number,
  stop?: AbortSignal,
): Promise<QueryRunner> {
  return new Promise((resolve, reject) => {
    const queryRunner = dataSource.createQueryRunner();
    let isOver = false;
    const end = (): void => {
      isOver = true;
      clearTimeout(timer);
      stopListening();
    };
    const giveUp = (error: NoConnectionError): void => {
      if (isOver) return;
      end();
      reject(error);
    };
    let stopListening: () => void = () => undefined;
    const timer = setTimeout(() => {
      const why = `no database connection within ${timeoutMs} ms: the pool is exhausted or the database does not answer`;
      giveUp(new NoConnectionError(why));
    }, timeoutMs);
    const onStop = (): void => giveUp(new NoConnectionError('no database connection before the process had to stop'));
    if (stop) stopListening = onAbort(stop, onStop);
    if (isOver) return;
    queryRunner.connect().then(
      () => {
        if (isOver) return void queryRunner.release().catch(() => undefined);
        end();
        resolve(queryRunner);
      },
      (error: unknown) => {
        const why = `no database connection: ${describeConnectError(error)}`;
        giveUp(new NoConnectionError(why, { cause: error }));
      },
    );
  });
}

/** A name with several addresses (localhost) fails with an AggregateError, which has a code and no message. */
function describeConnectError(error: unknown): string {
  const { message, code } = (error ?? {}) as { message?: unknown; code?: unknown };
  return String(message || code || error);
}

interface PostgresConnection {
  readonly processID?: number | null;
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
}

/** Whether the server has no transaction open on a connection that TypeORM thinks is in one: somebody wrote `ROLLBACK` or `COMMIT`. */
export async function hasLostTransaction(queryRunner: QueryRunner): Promise<boolean> {
  return (await transactionStatus(queryRunner)) === 'I';
}

/**
 * Whether a transaction is open on the connection, and no statement of it has failed. The server is asked: it reports the state of a
 * transaction after the error, in a message of its own that may not have come yet.
 */
export async function isWhole(queryRunner: QueryRunner): Promise<boolean> {
  if (queryRunner.isReleased) return false;
  try {
    await queryRunner.query('SELECT 1');
  } catch {
    return false;
  }
  return (await transactionStatus(queryRunner)) === 'T';
}

async function transactionStatus(queryRunner: QueryRunner): Promise<string | null | undefined> {
  if (queryRunner.isReleased) return undefined;
  const connection = (await queryRunner.connect()) as PostgresConnection;
  return connection.getTransactionStatus?.();
}

interface PostgresQueryRunner extends QueryRunner {
  releasePostgresConnection(error: Error): Promise<void>;
}

/**
 * Close the query runner's connection for good, whatever statement it is in. Statements that still use it fail.
 * @returns the process id of the server's side, which may still wait for a lock and hold others
 */
export async function destroyConnection(queryRunner: QueryRunner, reason: Error): Promise<number | undefined> {
  const connection = queryRunner.isReleased ? undefined : ((await queryRunner.connect()) as PostgresConnection);
  await (queryRunner as PostgresQueryRunner).releasePostgresConnection(reason);
  return connection?.processID ?? undefined;
}
