import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { DatabaseUnavailableError } from '../port';

/**
 * SQLSTATEs, or their beginnings, that say nothing about the statement: connection lost (08), out of resources (53), shutting
 * down or starting (57P), system error (58), a standby that takes no writes (25006), a session that was
 * idle, or its transaction open, for too long (25P03, 25P04).
 * PostgreSQL documentation, Appendix A.
 */
const UNAVAILABLE = ['08', '53', '57P', '58', '25006', '25P03', '25P04'];

/** Whether a statement failed because the database could not be asked, and not because of what was asked. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== undefined) return UNAVAILABLE.some((beginning) => state.startsWith(beginning));
  return (
    error instanceof DatabaseUnavailableError ||
    // Without an SQLSTATE: the driver never got an answer.
    error instanceof QueryFailedError ||
    // The connection was lost between two statements.
    error instanceof QueryRunnerAlreadyReleasedError
  );
}

/**
 * SQLSTATEs of what ran beside the statement: transaction rollback (40: deadlock, serialization failure), lock_not_available,
 * query_canceled (one of the server's timeouts).
 */
const TRANSIENT = ['40', '55P03', '57014'];

/** Whether a statement failed because of what ran beside it, so that it may succeed when it is run again. */
export function isTransient(error: unknown): boolean {
  const state = sqlState(error);
  return state !== undefined && TRANSIENT.some((beginning) => state.startsWith(beginning));
}

/** serialization_failure and deadlock_detected. */
const DEADLOCKS = ['40001', '40P01'];

/** Whether the transaction could not go on because of what ran beside it. */
export function isDeadlock(error: unknown): boolean {
  return DEADLOCKS.includes(sqlState(error) ?? '');
}

/** The five-character SQLSTATE of a failed statement. No class begins with E, and Node's own `EPIPE` must not look like one. */
export function sqlState(error: unknown): string | undefined {
  const driverError = (error as { driverError?: unknown } | null)?.driverError ?? error;
  const code = (driverError as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
