import type { QueryRunner } from 'typeorm';
import type { StatementResult } from './connection';
import { rollsBackAll } from './database-errors';

/** The flag by which a server says, with each answer but a result set, that a transaction is open (SERVER_STATUS_IN_TRANS). */
const IN_TRANSACTION = 1;

interface TransactionState {
  /** As the last answer has said; undefined: not known, because an error says nothing of it, and may have ended all. */
  readonly isOpen: boolean | undefined;
  /** Whether one of its statements has failed. */
  readonly hasFailed: boolean;
  /** The error that has ended it whole, as long as it has not been ended by a statement too. */
  readonly rolledBackBy: unknown;
}

const CLOSED: TransactionState = { isOpen: false, hasFailed: false, rolledBackBy: undefined };
const OPEN: TransactionState = { ...CLOSED, isOpen: true };

const states = new WeakMap<QueryRunner, TransactionState>();

/** To be told each answer: what a statement has made of the transaction costs no question then. */
export function noteAnswer(queryRunner: QueryRunner, result: unknown): void {
  const status = statusIn(result);
  if (status === undefined) return;
  if ((status & IN_TRANSACTION) === 0) states.set(queryRunner, CLOSED);
  else states.set(queryRunner, states.get(queryRunner)?.hasFailed ? { ...OPEN, hasFailed: true } : OPEN);
}

/** To be told each error of a statement. */
export function noteFailure(queryRunner: QueryRunner, error: unknown): void {
  const earlier = states.get(queryRunner)?.rolledBackBy;
  states.set(queryRunner, {
    isOpen: undefined,
    hasFailed: true,
    rolledBackBy: earlier ?? (rollsBackAll(error) ? error : undefined),
  });
}

/** Whether a transaction is open; undefined: the server must be asked. */
export function knownToBeOpen(queryRunner: QueryRunner): boolean | undefined {
  return states.get(queryRunner)?.isOpen;
}

/** Whether a statement of the open transaction has failed. */
export function hasFailedStatement(queryRunner: QueryRunner): boolean {
  return states.get(queryRunner)?.hasFailed ?? false;
}

/** The error with which the server has rolled the transaction back, whole. */
export function rolledBackBy(queryRunner: QueryRunner): unknown {
  return states.get(queryRunner)?.rolledBackBy;
}

/** Rows say nothing; what follows them in the answer to a CALL, or to several statements at once, does. */
function statusIn(result: unknown): number | undefined {
  const last: unknown = Array.isArray(result) ? result.at(-1) : result;
  const { fieldCount, serverStatus } = (last ?? {}) as StatementResult & { fieldCount?: unknown };
  return typeof fieldCount === 'number' && typeof serverStatus === 'number' ? serverStatus : undefined;
}
