import type { QueryRunner } from 'typeorm';
import { TransactionAbortedError } from '../domain/errors';

/** The parts of a `pg` client that are used here. */
interface PostgresClient {
  /** What the server said last: `I`, `T` or `E` for no transaction, an open one, or a failed one. pg 8.17 and later. */
  getTransactionStatus?(): string | null;
  /** Whether every statement has been answered. */
  readonly readyForQuery?: boolean;
}

/** What TypeORM counts inside a savepoint that lies directly in the transaction. */
const IN_SAVEPOINT = 2;

/** How a handler has left the savepoint that it ran in. */
export interface SavepointEnd {
  /** Why the savepoint must be rolled back even if the handler did not throw. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Whether statements of the handler may still run: what the server said last is not the last word then. */
  readonly busy: boolean;
}

/** How many transactions, the outermost and those nested in it, are open. TypeORM keeps it in a protected field of every query runner. */
export function depthOf(queryRunner: QueryRunner): number {
  return (queryRunner as unknown as { transactionDepth?: number }).transactionDepth ?? 1;
}

/** Whether the query runner is still in a savepoint, or its transaction is over or nearly so. */
export function isInSavepoint(queryRunner: QueryRunner): boolean {
  return queryRunner.isTransactionActive && depthOf(queryRunner) >= IN_SAVEPOINT;
}

/**
 * Look at the transaction when a handler has ended, after sending what waits for a next statement (the events that it has
 * recorded): its failure is this handler's, and must not be taken for that of whoever comes next.
 * @throws when the handler has ended the savepoint or the transaction around it
 */
export async function endOfSavepoint(queryRunner: QueryRunner): Promise<SavepointEnd> {
  const ended = 'a handler has ended the transaction that it shares';
  if (!isInSavepoint(queryRunner)) throw new Error(ended);
  let client: PostgresClient;
  try {
    // Whoever asks for the connection may send something on it: that is why everything else is sent before.
    client = (await queryRunner.connect()) as PostgresClient;
  } catch (error) {
    return { failure: { error }, busy: true };
  }
  const status = client.getTransactionStatus?.();
  if (status === 'I') throw new Error(ended);
  const busy = status === undefined || client.readyForQuery !== true;
  if (status === 'E') return { failure: { error: new TransactionAbortedError() }, busy };
  if (depthOf(queryRunner) === IN_SAVEPOINT) return { failure: undefined, busy };
  return { failure: { error: new TransactionAbortedError('a nested transaction was left open') }, busy };
}

/** Resolves when all statements are answered that were sent before; rejects when one of them has spoiled the transaction. */
export async function allAnswered(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query('SELECT 1');
}

/**
 * Undo the savepoint and what is nested in it. It is released too: `ROLLBACK TO` alone would keep it, and a later one of the same
 * name could go back to it, over the effects of handlers that have succeeded in between.
 */
export async function undoSavepoint(queryRunner: QueryRunner): Promise<void> {
  while (isInSavepoint(queryRunner)) await queryRunner.rollbackTransaction();
  await queryRunner.query('RELEASE SAVEPOINT typeorm_1');
}
