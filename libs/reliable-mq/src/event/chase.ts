import type { Backoff } from '../wait/backoff';

/** So many times the delay of a chase an event is left alone that may still wait for a consumer that is behind. */
export const CHASE_PATIENCE = 10;

/** Delays until receipts are missed: they double from `chaseAfterMs` on, so that a slow consumer is not flooded. */
export function chaseBackoff(backoff: Backoff, chaseAfterMs: number): Backoff {
  return { ...backoff, initialMs: chaseAfterMs, maxMs: Math.max(backoff.maxMs, chaseAfterMs) };
}
