import { randomUUID } from 'node:crypto';
import type { ClaimableStatus, ClaimedEvent, OutboxStore } from '../outbox/outbox.store';

/** Events claimed by one statement. */
export interface ClaimedBatch {
  readonly events: readonly ClaimedEvent[];
  readonly token: string;
  /** `performance.now()` before the claim: the lease must seem to end early here rather than late. */
  readonly claimedAtMs: number;
}

/**
 * Claims what is due, batch by batch, until nothing is left. Each batch starts where the last one ended, so that a long drain
 * does not walk the dead index entries that it leaves behind; rows that were passed over are found by the next run.
 * @param goOn asked before each claim
 */
export async function* claimedBatches(
  outbox: OutboxStore,
  status: ClaimableStatus,
  batchSize: number,
  leaseMs: number,
  goOn: () => boolean,
): AsyncGenerator<ClaimedBatch, void> {
  let dueFrom: string | undefined;
  while (goOn()) {
    const token = randomUUID();
    const claimedAtMs = performance.now();
    const { events, lastDueAt } = await outbox.claim(status, batchSize, leaseMs, token, dueFrom);
    if (events.length > 0) yield { events, token, claimedAtMs };
    if (events.length < batchSize) return;
    dueFrom = lastDueAt;
  }
}
