import { type Backoff, backoffHorizonMs } from '../wait/backoff';
import { CHASE_PATIENCE, chaseBackoff } from '../event/chase';

interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/**
 * A chase waits so many times its delay while the consumer is behind: its patience, and until the event is looked at once more
 * (compensate/chase-receipts.job.ts).
 */
const BEHIND = CHASE_PATIENCE + 2;

/**
 * The longest time between the first and the last delivery of one event, in milliseconds: the producer chases its receipt
 * until it gives up, and after its last message the consumer may still try as long as it does.
 */
export function retryHorizonMs(publish: RetryPolicy, chaseAfterMs: number, consume: RetryPolicy): number {
  const chase = chaseBackoff(publish.backoff, chaseAfterMs);
  const delays = { ...chase, initialMs: Math.max(chaseAfterMs, publish.backoff.initialMs) };
  return (
    BEHIND * backoffHorizonMs(delays, publish.maxAttempts + 1) +
    backoffHorizonMs(consume.backoff, consume.maxAttempts + 1)
  );
}
