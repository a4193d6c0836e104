import type { QueryRunner } from 'typeorm';
import type { StatementResult } from './connection';
import { rollsBackAll } from './database-errors';

/** The flag by which a server says, with each answer but a result set, that a transaction is open (SERVER_STATUS_IN_TRANS). */
const IN_TRANSACTION = 1;

/** A statement whose answer did not say whether the transaction is still open. */
interface Suspect {
  readonly sql: string;
  readonly error: unknown;
}

interface TransactionState {
  /** As the last answer has said; undefined: not known, because an error says nothing of it, and may have ended all. */
  readonly isOpen: boolean | undefined;
  /** Whether one of its statements has failed. */
  readonly hasFailed: boolean;
  readonly suspect?: Suspect | undefined;
  /** The error that has ended it whole, until it is ended by a statement too. */
  readonly rolledBackBy?: unknown;
  /** The statement that has committed it without being told to, until it is ended by one that is. */
  readonly committedBy?: string | undefined;
}

const CLOSED: TransactionState = { isOpen: false, hasFailed: false };
const OPEN: TransactionState = { ...CLOSED, isOpen: true };
const FAILED: TransactionState = { isOpen: undefined, hasFailed: true };

/** Statements that are told to end a transaction. */
const END = /^\s*(commit|rollback)\b/i;

/**
 * Statements that commit the transaction before they do anything else (MySQL Reference Manual, "Statements That Cause an Implicit Commit"), whatever
 * comment they begin with. Temporary tables are the session's, and commit nothing.
 */
const IMPLICIT_COMMIT =
  /^(?:\s+|\/\*[^]*?\*\/|(?:--|#)[^\n]*\n)*(alter|analyze|cache|check|create(?!\s+temporary)|drop(?!\s+temporary)|flush|grant|install|load\s+index|lock|optimize|rename|repair|reset|revoke|set\s+password|truncate|uninstall|unlock)\b/i;

/** A procedure may end transactions before it fails. */
const CALL = /^\s*call\b/i;

const states = new WeakMap<QueryRunner, TransactionState>();

export function commitsImplicitly(sql: string): boolean {
  return IMPLICIT_COMMIT.test(sql);
}

/** To be told each answer: what a statement has made of the transaction costs no question then. */
export function noteAnswer(queryRunner: QueryRunner, sql: string, result: unknown): void {
  const before = states.get(queryRunner);
  const status = statusIn(result);
  if (status === undefined) {
    if (!before?.isOpen || !commitsImplicitly(sql)) return;
    states.set(queryRunner, { ...before, isOpen: undefined, suspect: { sql, error: undefined } });
  } else if ((status & IN_TRANSACTION) !== 0) {
    states.set(queryRunner, before?.hasFailed ? { ...OPEN, hasFailed: true } : OPEN);
  } else if (before === undefined || END.test(sql)) {
    states.set(queryRunner, CLOSED);
  } else {
    const { isOpen, suspect = { sql, error: undefined }, rolledBackBy, committedBy } = before;
    const isTold = isOpen === false || rolledBackBy !== undefined || committedBy !== undefined;
    states.set(queryRunner, isTold ? { ...CLOSED, rolledBackBy, committedBy } : endedBy(suspect));
  }
}

/** With some settings of the server more errors roll back than `rollsBackAll` knows; but DDL commits before it fails. */
function endedBy({ sql, error }: Suspect): TransactionState {
  const hasCommitted = error === undefined || commitsImplicitly(sql) || CALL.test(sql);
  return hasCommitted ? { ...CLOSED, committedBy: sql } : { ...CLOSED, rolledBackBy: error };
}

/** To be told each error of a statement. */
export function noteFailure(queryRunner: QueryRunner, sql: string, error: unknown): void {
  const before = states.get(queryRunner) ?? CLOSED;
  if (before.isOpen === false) states.set(queryRunner, { ...before, hasFailed: true });
  else if (rollsBackAll(error)) states.set(queryRunner, { ...FAILED, rolledBackBy: before.rolledBackBy ?? error });
  else
    states.set(queryRunner, {
      ...FAILED,
      rolledBackBy: before.rolledBackBy,
      suspect: before.suspect ?? { sql, error },
    });
}

/** Whether the server must be asked before anything else is sent: it may have committed the transaction, and did not say so. */
export function mayHaveCommitted(queryRunner: QueryRunner): boolean {
  const state = states.get(queryRunner);
  return state !== undefined && state.isOpen === undefined && state.suspect !== undefined;
}

/** The statement that has committed the transaction without being told to, as DDL does. */
export function committedBy(queryRunner: QueryRunner): string | undefined {
  return states.get(queryRunner)?.committedBy;
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
