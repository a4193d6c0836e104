import { backoffMs, type Backoff } from '../wait/backoff';
import type { ConsumerOutcome } from '../event/outcome';
import type { InboxFailure, InboxRow } from '../inbox/inbox.store';

/** Where an event stands for one consumer, as its producer is told. */
export interface Conclusion {
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  readonly retryAfterMs: number | null;
}

export const HANDLED: Conclusion = { outcome: 'handled', reason: null, retryAfterMs: null };

export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/** What follows from an attempt that failed or was rejected. */
export function failureAfter(
  kind: 'failed' | 'rejected',
  reason: string,
  attempt: number,
  policy: RetryPolicy,
): InboxFailure {
  if (kind === 'rejected') return { reason, next: { end: 'rejected' } };
  if (attempt >= policy.maxAttempts)
    return { reason: `given up after ${attempt} attempts: ${reason}`, next: { end: 'dead' } };
  return { reason, next: { retryInMs: backoffMs(policy.backoff, attempt) } };
}

export function concludeFailure({ reason, next }: InboxFailure): Conclusion {
  if ('end' in next) return { outcome: next.end, reason, retryAfterMs: null };
  return { outcome: 'retrying', reason, retryAfterMs: next.retryInMs };
}

/** What the inbox knows of a message that came again; null: its row was pruned. */
export function concludeRow(row: InboxRow | null): Conclusion {
  // Pruned in this very moment: it had ended long ago, and a chase will ask again if the producer still cares.
  if (row === null || row.status === 'handled') return HANDLED;
  if (row.status === 'failed' || row.status === 'waiting')
    return { outcome: 'retrying', reason: row.reason, retryAfterMs: Math.max(0, row.dueInMs ?? 0) };
  return { outcome: row.status, reason: row.reason, retryAfterMs: null };
}
