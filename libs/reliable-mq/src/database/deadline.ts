import type { DataSource, QueryRunner } from 'typeorm';

/** How long a statement of this library may take, in milliseconds, before its connection counts as dead. */
export const STATEMENT_DEADLINE_MS = 30_000;

/** The database did not answer in time; nothing is known of what it did. */
export class DatabaseDeadlineError extends Error {
  override readonly name = 'DatabaseDeadlineError';
}

/**
 * A query runner with a connection, or an error when the pool gives none in time. A connection that comes too late goes back.
 * @param timeoutMs how long to wait, in milliseconds
 */
export async function acquireQueryRunner(dataSource: DataSource, timeoutMs: number): Promise<QueryRunner> {
  const queryRunner = dataSource.createQueryRunner();
  let late = false;
  const connecting = queryRunner.connect().then(
    async () => {
      if (late) await queryRunner.release();
    },
    (error: unknown) => {
      if (!late) throw error;
    },
  );
  try {
    await within(
      timeoutMs,
      connecting,
      () =>
        new DatabaseDeadlineError(
          `no database connection within ${timeoutMs} ms: the pool is exhausted or the database does not answer`,
        ),
    );
  } catch (error) {
    late = true;
    throw error;
  }
  return queryRunner;
}

/** The promise's result, or the error when it takes longer. The promise itself goes on, and its later failure is ignored. */
export async function within<T>(timeoutMs: number, work: Promise<T>, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(onTimeout()), timeoutMs);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

interface PostgresConnection {
  readonly processID?: number | null;
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
