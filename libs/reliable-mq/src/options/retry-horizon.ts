import { type Backoff, backoffHorizonMs } from '../domain/backoff';

interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/** While the consumer is behind, each chase waits so many times its delay, and at most one delay more (publish/give-up.ts). */
const BEHIND = 11;

/**
 * The longest time between the first and the last delivery of one event, in milliseconds: the producer chases its receipt
 * until it gives up, and after its last message the consumer may still try as long as it does.
 */
export function retryHorizonMs(publish: RetryPolicy, chaseAfterMs: number, consume: RetryPolicy): number {
  const chase = {
    ...publish.backoff,
    initialMs: Math.min(Math.max(chaseAfterMs, publish.backoff.initialMs), publish.backoff.maxMs),
  };
  const behindMs = publish.maxAttempts * BEHIND * chaseAfterMs;
  return (
    behindMs +
    backoffHorizonMs(chase, publish.maxAttempts + 1) +
    backoffHorizonMs(consume.backoff, consume.maxAttempts + 1)
  );
}
