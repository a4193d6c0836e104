import { backoffMs, type Backoff } from '../wait/backoff';
import { describeError, isRejectEvent } from '../event/errors';
import { thrownAt } from '../log/thrown-at';
import type { ConsumerOutcome } from '../event/outcome';
import type { InboxFailure, InboxRow } from '../inbox/inbox.store';

/**
 * Where a message stands after one way through the pipeline.
 * - `handled`: committed
 * - `retry`: it failed; the inbox has it, due again
 * - `waits`: nobody here handles its version; the inbox has it until a release does, without an attempt
 * - `rejected`, `dead`: given up; `isParked`: no handler can take it, and a copy goes to the parking queue
 * - `undecided`: nothing of this way is stored, and nothing is counted
 *
 * `where`: the place that the application threw at, when it did.
 */
export type Outcome =
  | { readonly kind: 'handled' }
  | {
      readonly kind: 'retry' | 'waits';
      readonly reason: string;
      readonly where?: string | undefined;
      readonly retryInMs: number;
    }
  | {
      readonly kind: 'rejected' | 'dead';
      readonly reason: string;
      readonly where?: string | undefined;
      readonly isParked?: true;
    }
  | Undecided;

/**
 * - `taken`: the inbox row could not be claimed: another delivery or instance has it; nothing was run
 * - `unavailable`: the database went away, and it is not known whether the commit happened: the inbox knows, later.
 *   `started`: the handler had begun; `isBack`: only its connection was lost, and the database answers
 * - `conflict`: what ran beside it made the database give the transaction up
 * - `stopping`: the process must stop; rolled back
 */
export interface Undecided {
  readonly kind: 'undecided';
  readonly because: 'taken' | 'unavailable' | 'conflict' | 'stopping';
  readonly error?: unknown;
  readonly started?: boolean;
  readonly isBack?: boolean;
}

/** An outcome that the inbox is told of beside the handler's transaction. */
export type Failure = Exclude<Outcome, { readonly kind: 'handled' | 'undecided' }>;

export const HANDLED: Outcome = { kind: 'handled' };
export const TAKEN: Undecided = { kind: 'undecided', because: 'taken' };
export const STOPPING: Undecided = { kind: 'undecided', because: 'stopping' };

/** Whether no handler can take the message, so that it is put aside. */
export function isParked(outcome: Outcome): outcome is Failure & { readonly isParked: true } {
  return 'isParked' in outcome && outcome.isParked === true;
}

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/** What follows from what a handler, or whatever stands in its way, has thrown. */
export function failureOf(error: unknown, attempt: number, policy: RetryPolicy): Failure {
  const where = thrownAt(error);
  if (isRejectEvent(error))
    return { kind: 'rejected', reason: describeError(error.reason || 'rejected without a reason'), ...at(where) };
  return { ...failedAttempt(describeError(error), attempt, policy), ...at(where) };
}

export function failedAttempt(reason: string, attempt: number, policy: RetryPolicy): Failure {
  if (attempt >= policy.maxAttempts) return { kind: 'dead', reason: `given up after ${attempt} attempts: ${reason}` };
  return { kind: 'retry', reason, retryInMs: backoffMs(policy.backoff, attempt) };
}

/** A place, where there is one. */
export function at(where: string | undefined): { readonly where?: string } {
  return where === undefined ? {} : { where };
}

/** How the inbox keeps a failure. */
export function asInboxFailure(failure: Failure): InboxFailure {
  const { reason, where } = failure;
  switch (failure.kind) {
    case 'retry':
      return { reason, ...at(where), next: { retryInMs: failure.retryInMs } };
    case 'waits':
      return { reason, next: { waitMs: failure.retryInMs } };
    default:
      return { reason, ...at(where), next: { end: failure.kind } };
  }
}

/** What the inbox knows of a message that came again; undefined: its row was pruned. */
export function outcomeOfRow(row: InboxRow | undefined): Outcome {
  // Pruned in this very moment: it had ended long ago, and a chase will ask again if the producer still cares.
  if (row === undefined || row.status === 'handled') return HANDLED;
  const why = { reason: row.reason ?? '', ...at(row.where) };
  if (row.status === 'rejected' || row.status === 'dead') return { kind: row.status, ...why };
  return { kind: row.status === 'waiting' ? 'waits' : 'retry', ...why, retryInMs: Math.max(0, row.dueInMs ?? 0) };
}

/** As the producer is told. */
export interface Report {
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  readonly where?: string;
  readonly retryAfterMs: number | null;
}

export function reportOf(outcome: Exclude<Outcome, Undecided>): Report {
  switch (outcome.kind) {
    case 'handled':
      return { outcome: 'handled', reason: null, retryAfterMs: null };
    case 'retry':
    case 'waits':
      return { outcome: 'retrying', reason: outcome.reason, ...at(outcome.where), retryAfterMs: outcome.retryInMs };
    default:
      return { outcome: outcome.kind, reason: outcome.reason, ...at(outcome.where), retryAfterMs: null };
  }
}
