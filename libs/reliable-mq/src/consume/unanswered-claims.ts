import { isDatabaseUnavailable } from '../database/postgres/database-errors';
import { NoConnectionError } from '../database/port';
import { describeError } from '../event/errors';
import type { StoreSet } from '../database/stores';
import { createLog } from '../log/log';

/** Time between two looks for them, in milliseconds: each reads all unfinished rows, and runs may be many per second. */
const LOOK_EVERY_MS = 5000;

/**
 * Claims of one inbox whose answers never came. Such a claim may have taken rows. It would count as a start that never finished, and
 * a few of those make a message one that kills its process. The statement may still be on its way, so it is looked for until its
 * lease is over. Then the rows are due in any case: nothing depends on finding it, and no failure to look holds anything up.
 */
export class UnansweredClaims {
  private readonly logger = createLog();
  /** Tokens, with the moment at which their leases are over, by `performance.now()`. */
  private readonly leaseEndsAtMs = new Map<string, number>();
  private nextLookAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly set: Pick<StoreSet, 'name' | 'inbox'>) {}

  /** Keeps a claim that has failed, if it may have had an effect. */
  afterFailure(token: string, leaseMs: number, error: unknown): void {
    if (!isDatabaseUnavailable(error) || error instanceof NoConnectionError) return;
    this.leaseEndsAtMs.set(token, performance.now() + leaseMs);
  }

  /** Gives back what the claims have taken, as far as that can be found now. Never rejects. */
  async giveBack(): Promise<void> {
    const nowMs = performance.now();
    if (this.leaseEndsAtMs.size === 0 || nowMs < this.nextLookAtMs) return;
    try {
      for (const token of this.leaseEndsAtMs.keys())
        if ((await this.set.inbox.releaseClaim(token)) > 0) this.leaseEndsAtMs.delete(token);
    } catch (error) {
      this.logger.warn(
        'Claims of the inbox whose answers were lost could not be given back; unless a later try succeeds, their rows are due when their leases are over, with one start more counted',
        { dataSource: this.set.name, count: this.leaseEndsAtMs.size, error: describeError(error) },
      );
    }
    for (const [token, endsAtMs] of this.leaseEndsAtMs) if (nowMs >= endsAtMs) this.leaseEndsAtMs.delete(token);
    this.nextLookAtMs = performance.now() + LOOK_EVERY_MS;
  }
}
