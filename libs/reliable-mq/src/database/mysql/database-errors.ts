import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { DatabaseUnavailableError } from '../port';

/** Server error numbers by the names that both manuals give them (MySQL and MariaDB Error Reference). */
export const ErrorNumber = {
  DUPLICATE_ENTRY: 1062,
  NO_SUCH_TABLE: 1146,
  TABLE_ACCESS_DENIED: 1142,
  DATABASE_ACCESS_DENIED: 1044,
  SPECIFIC_ACCESS_DENIED: 1227,
  LOCK_WAIT_TIMEOUT: 1205,
  DEADLOCK: 1213,
} as const;

/** `--read-only` and `--super-read-only` are among what it says no because of; so are others, which its text tells apart. */
const OPTION_PREVENTS_STATEMENT = 1290;
/** The transaction, or the server, takes no writes. */
const READ_ONLY = [1792, 1836];

/**
 * What says nothing about the statement: too many connections (1040, 1203, 1226), out of memory, disk or transaction slots (1021, 1037, 1038, 1041,
 * 1114, 1206, 1637), shutting down (1053), a node of a cluster that has not joined it (1047), connections lost or
 * killed (1152, 1158 to 1161, 1184, 1927, 2006, 2013, 4031), errors of the storage (1023, 1024, 1026, 1030).
 */
const UNAVAILABLE = [
  1021, 1023, 1024, 1026, 1030, 1037, 1038, 1040, 1041, 1047, 1053, 1114, 1152, 1158, 1159, 1160, 1161, 1184, 1203,
  1206, 1226, 1637, 1927, 2006, 2013, 4031,
];

/**
 * What ran beside the statement, or cut it off: lock waits and deadlocks (1205, 1213, 1614, 3058, 3572), a row that has changed since the
 * transaction's snapshot (1020), a table that was altered (1412), a statement that was interrupted or took too long (1317, 1907, 1969, 3024), a cluster
 * that has rolled the transaction back (3101).
 */
const CONFLICTS = [1020, 1205, 1213, 1317, 1412, 1614, 1907, 1969, 3024, 3058, 3101, 3572];

/** Of those, the ones that the same work may meet no more when it is begun again at once. */
const RETRIED_AT_ONCE = [1020, 1205, 1213, 1412, 3101];

/** What undoes the whole transaction, and not only the statement: the next one would be committed by itself. */
const ROLLS_BACK_ALL = [1213, 1614, 3101];

/** Since the transaction's snapshot, with `innodb_snapshot_isolation`: it can be run again, and not go on. */
const RECORD_CHANGED = 1020;

/** What the server answers for a savepoint that went with its transaction. */
const NO_SUCH_SAVEPOINT = 1305;

interface DriverError {
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly message?: unknown;
  readonly fatal?: unknown;
}

function driverErrorOf(error: unknown): DriverError {
  return ((error as { driverError?: unknown } | null)?.driverError ?? error ?? {}) as DriverError;
}

/** The number of an error that the server has answered. Node's own errors have numbers too, but no SQLSTATE. */
export function errorNumber(error: unknown): number | undefined {
  const { errno, sqlState } = driverErrorOf(error);
  return typeof errno === 'number' && typeof sqlState === 'string' ? errno : undefined;
}

/** Whether a statement failed because the server, or its transaction, takes no writes. */
export function isReadOnly(error: unknown): boolean {
  const number = errorNumber(error);
  if (number === OPTION_PREVENTS_STATEMENT) return /read.only/i.test(String(driverErrorOf(error).message));
  return number !== undefined && READ_ONLY.includes(number);
}

/** Whether a statement failed because the database could not be asked, and not because of what was asked. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const number = errorNumber(error);
  if (number !== undefined) return UNAVAILABLE.includes(number) || isReadOnly(error);
  return (
    error instanceof DatabaseUnavailableError ||
    // Without a number: the driver never got an answer.
    error instanceof QueryFailedError ||
    // The connection was lost between two statements.
    error instanceof QueryRunnerAlreadyReleasedError ||
    // The driver's own mark of an error that ends its connection.
    driverErrorOf(error).fatal === true
  );
}

/** Whether a statement failed because of what ran beside it, so that it may succeed when it is run again. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.includes(errorNumber(error) ?? 0);
}

export function isRetriedAtOnce(error: unknown): boolean {
  return RETRIED_AT_ONCE.includes(errorNumber(error) ?? 0);
}

export function rollsBackAll(error: unknown): boolean {
  return ROLLS_BACK_ALL.includes(errorNumber(error) ?? 0);
}

/** Whether the transaction could not go on because of what ran beside it. */
export function isDeadlock(error: unknown): boolean {
  return rollsBackAll(error) || errorNumber(error) === RECORD_CHANGED;
}

export function isConsequence(error: unknown): boolean {
  return (
    errorNumber(error) === NO_SUCH_SAVEPOINT && String(driverErrorOf(error).message).toUpperCase().includes('SAVEPOINT')
  );
}

/** Because of what is in the statement, and not of the moment. */
export function isRefused(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  return errorNumber(error) !== undefined && !isDatabaseUnavailable(error) && !isConflict(error);
}
