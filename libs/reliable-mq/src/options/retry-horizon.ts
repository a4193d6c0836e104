import { type Backoff, backoffHorizonMs } from '../domain/backoff';

interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/**
 * The longest time between the first and the last delivery of one event, in milliseconds: the producer chases its receipt
 * until it gives up, and after its last message the consumer may still try as long as it does.
 */
export function retryHorizonMs(publish: RetryPolicy, chaseAfterMs: number, consume: RetryPolicy): number {
  const chase = {
    ...publish.backoff,
    initialMs: Math.min(Math.max(chaseAfterMs, publish.backoff.initialMs), publish.backoff.maxMs),
  };
  return backoffHorizonMs(chase, publish.maxAttempts + 1) + backoffHorizonMs(consume.backoff, consume.maxAttempts + 1);
}
