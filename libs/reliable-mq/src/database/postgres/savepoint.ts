import type { QueryRunner } from 'typeorm';
import { TransactionAbortedError } from '../../event/errors';
import { depthOf } from '../transaction-depth';
import { sqlState } from './database-errors';

/** The parts of a `pg` client that are used here. */
interface PostgresClient {
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
  /** Whether every statement has been answered. */
  readonly readyForQuery?: boolean;
}

/** What TypeORM counts inside a savepoint that lies directly in the transaction. */
const IN_SAVEPOINT = 2;
/** SQLSTATE in_failed_sql_transaction. */
const IN_FAILED_TRANSACTION = '25P02';

/** Whether the query runner is still in a savepoint, or its transaction is over or nearly so. */
export function isInSavepoint(queryRunner: QueryRunner): boolean {
  return queryRunner.isTransactionActive && depthOf(queryRunner) >= IN_SAVEPOINT;
}

/**
 * Look at the transaction when a handler has ended: after sending what waits for a next statement (the events that it has recorded),
 * and after the answers to statements that it did not await. What fails there is this handler's failure, and must not be taken
 * for that of whoever comes next.
 * @returns why the savepoint must be rolled back although the handler did not throw
 * @throws when the handler has ended the savepoint or the transaction around it
 */
export async function failureInSavepoint(queryRunner: QueryRunner): Promise<{ readonly error: unknown } | undefined> {
  const ended = new Error('a handler has ended the transaction that it shares');
  if (!isInSavepoint(queryRunner)) throw ended;
  let status: string | null | undefined;
  try {
    status = await statusOf(queryRunner);
  } catch (error) {
    return { error };
  }
  if (status === 'I') throw ended;
  if (status === 'E') return { error: new TransactionAbortedError() };
  if (depthOf(queryRunner) === IN_SAVEPOINT) return undefined;
  return { error: new TransactionAbortedError('a nested transaction was left open') };
}

/** What the server says of the transaction when it has answered everything. */
async function statusOf(queryRunner: QueryRunner): Promise<string | null | undefined> {
  // Whoever asks for the connection may send something on it: that is why everything else is sent before.
  const client = (await queryRunner.connect()) as PostgresClient;
  const status = client.getTransactionStatus?.();
  if (client.readyForQuery === true && status !== undefined) return status;
  try {
    await queryRunner.query('SELECT 1');
  } catch (error) {
    if (sqlState(error) === IN_FAILED_TRANSACTION) return 'E';
    throw error;
  }
  return client.getTransactionStatus?.();
}

/**
 * Undo the savepoint and what is nested in it. It is released too: `ROLLBACK TO` alone would keep it, and a later one of the same
 * name could go back to it, over the effects of handlers that have succeeded in between.
 */
export async function undoSavepoint(queryRunner: QueryRunner): Promise<void> {
  while (isInSavepoint(queryRunner)) await queryRunner.rollbackTransaction();
  await queryRunner.query('RELEASE SAVEPOINT typeorm_1');
}
