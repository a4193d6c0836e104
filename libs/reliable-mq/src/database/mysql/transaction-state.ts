import type { QueryRunner } from 'typeorm';
import type { StatementResult } from './connection';

/** The flag by which a server says, with each answer but a result set, that a transaction is open (SERVER_STATUS_IN_TRANS). */
const IN_TRANSACTION = 1;

interface TransactionState {
  /** As the last answer has said; undefined: not known, because an error says nothing of it, and may have ended all. */
  isOpen: boolean | undefined;
  hasFailed: boolean;
}

const states = new WeakMap<QueryRunner, TransactionState>();

/** To be told each answer: what a statement has made of the transaction costs no question then. */
export function noteAnswer(queryRunner: QueryRunner, result: unknown): void {
  const status = statusIn(result);
  if (status === undefined) return;
  const isOpen = (status & IN_TRANSACTION) !== 0;
  states.set(queryRunner, { isOpen, hasFailed: isOpen && (states.get(queryRunner)?.hasFailed ?? false) });
}

/** To be told each error of a statement. */
export function noteFailure(queryRunner: QueryRunner): void {
  states.set(queryRunner, { isOpen: undefined, hasFailed: true });
}

/** Whether a transaction is open; undefined: the server must be asked. */
export function knownToBeOpen(queryRunner: QueryRunner): boolean | undefined {
  return states.get(queryRunner)?.isOpen;
}

/** Whether a statement of the open transaction has failed. */
export function hasFailedStatement(queryRunner: QueryRunner): boolean {
  return states.get(queryRunner)?.hasFailed ?? false;
}

/** Rows say nothing; what follows them in the answer to a CALL, or to several statements at once, does. */
function statusIn(result: unknown): number | undefined {
  const last: unknown = Array.isArray(result) ? result.at(-1) : result;
  const { fieldCount, serverStatus } = (last ?? {}) as StatementResult & { fieldCount?: unknown };
  return typeof fieldCount === 'number' && typeof serverStatus === 'number' ? serverStatus : undefined;
}
