import { randomUUID } from 'node:crypto';
import type { Claim, ClaimableStatus, ClaimedEvent, ClaimLimit, DueRange, OutboxStore } from '../outbox/outbox.store';
import { ScanStart } from './scan-start';

/**
 * A row may become visible so long after the moment from which it is due (its transaction committed late), a claim may wait for
 * a connection, and the clocks of database and process may drift apart, by this much together, in milliseconds.
 */
const OVERLAP_MS = 120_000;

/** Events claimed by one statement. */
export interface ClaimedBatch {
  readonly events: readonly ClaimedEvent[];
  readonly token: string;
  /** `performance.now()` before the claim: the lease must seem to end early here rather than late. */
  readonly claimedAtMs: number;
}

/** The due events of one status, claimed batch by batch. */
export class DueEvents {
  /** Its position: `performance.now()` at the beginning of the last run that left nothing, or when the process started. */
  private readonly start = new ScanStart(performance.now());

  /**
   * @param limit of one claim
   * @param leaseMs in milliseconds
   */
  constructor(
    private readonly outbox: OutboxStore,
    private readonly status: ClaimableStatus,
    private readonly limit: ClaimLimit,
    private readonly leaseMs: number,
  ) {}

  /**
   * Claims until nothing is left. Each batch starts where the last one ended, so that a long drain does not walk the dead index
   * entries that it leaves behind; rows that were passed over are found by a later run.
   * @param goOn asked before each claim
   */
  async *claim(goOn: () => boolean): AsyncGenerator<ClaimedBatch, void> {
    const startedAtMs = performance.now();
    const seenAtMs = this.start.next();
    const isFromStart = seenAtMs === undefined;
    let range: DueRange | undefined = isFromStart ? undefined : { dueWithinMs: startedAtMs - seenAtMs + OVERLAP_MS };
    while (goOn()) {
      const token = randomUUID();
      const claimedAtMs = performance.now();
      const claim = (): Promise<Claim> => this.outbox.claim(this.status, this.limit, this.leaseMs, token, range);
      const { events, lastDueAt, isFull }: Claim = await (range === undefined ? this.start.fromStart(claim) : claim());
      const isLast = !isFull || lastDueAt === undefined;
      if (isLast) {
        this.start.reached(startedAtMs);
        if (isFromStart) this.start.finished();
      }
      if (events.length > 0) yield { events, token, claimedAtMs };
      if (isLast) return;
      range = { dueFrom: lastDueAt };
    }
  }
}
