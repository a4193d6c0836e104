import type { DataSource, QueryRunner } from 'typeorm';
import { within } from '../wait/deadline';
import { onAbort } from '../wait/on-abort';
import { connectionOf } from './connection-of';
import { DatabaseDeadlineError, NoConnectionError } from './port';

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
    Promise.resolve(connectionOf(queryRunner)).then(
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

/**
 * Work on a connection of its own. One that does not answer in time is closed, so that a half-open one can't stop a job forever.
 * @param deadlineMs for the connection, and then for the work, in milliseconds
 * @param destroy closes the connection for good
 * @throws NoConnectionError when there is no connection, DatabaseDeadlineError when there is no answer
 */
export async function onOwnConnection<T>(
  dataSource: DataSource,
  work: (queryRunner: QueryRunner) => Promise<T>,
  deadlineMs: number,
  destroy: (queryRunner: QueryRunner, reason: Error) => Promise<unknown>,
): Promise<T> {
  const queryRunner = await acquireQueryRunner(dataSource, deadlineMs);
  try {
    return await within(
      deadlineMs,
      work(queryRunner),
      () => new DatabaseDeadlineError(`the database did not answer within ${deadlineMs} ms`),
    );
  } catch (error) {
    if (error instanceof DatabaseDeadlineError) await destroy(queryRunner, error);
    throw error;
  } finally {
    await queryRunner.release();
  }
}
