import type { QueryRunner } from 'typeorm';
import { connectionOf } from '../connection-of';

interface PostgresConnection {
  readonly processID?: number | null;
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
}

/** Whether the server has no transaction open on a connection that TypeORM thinks is in one: somebody wrote `ROLLBACK` or `COMMIT`. */
export function hasLostTransaction(queryRunner: QueryRunner): boolean | Promise<boolean> {
  const status = transactionStatus(queryRunner);
  return status instanceof Promise ? status.then((each) => each === 'I') : status === 'I';
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

type TransactionStatus = string | null | undefined;

function transactionStatus(queryRunner: QueryRunner): TransactionStatus | Promise<TransactionStatus> {
  if (queryRunner.isReleased) return undefined;
  const connection = connectionOf<PostgresConnection>(queryRunner);
  return connection instanceof Promise
    ? connection.then((each) => each.getTransactionStatus?.())
    : connection.getTransactionStatus?.();
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
