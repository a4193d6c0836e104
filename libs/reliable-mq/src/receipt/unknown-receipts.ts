import { createLog } from '../log/log';
import { WarningDigest } from '../log/warning-digest';
import type { WireReceipt } from './receipt-codec';

const ADVICE =
  'If they were not pruned, this outbox is not the one that published them: its database was restored, or failed over, to a state ' +
  'before them (their business is gone here, while consumers have handled them), or another service uses the name of this one.';

/** Counts and tells of receipts for events that the outbox does not hold. */
export class UnknownReceipts {
  private readonly log = createLog();
  private readonly digest = new WarningDigest((details) =>
    this.log.warn('Consumers reported on events that the outbox does not know', { ...details, advice: ADVICE }),
  );
  private total = 0;

  /** Since the start of this process. */
  get count(): number {
    return this.total;
  }

  /**
   * @param eventIds of the events that are not there
   * @returns how many of the receipts are about them
   */
  add(dataSource: string, receipts: readonly WireReceipt[], eventIds: readonly string[]): number {
    if (eventIds.length === 0) return 0;
    const ids = new Set(eventIds);
    const unknown = receipts.filter(({ eventId }) => ids.has(eventId));
    for (const { eventId, consumer, outcome } of unknown)
      this.digest.add(eventId, { dataSource, consumer }, { outcome });
    this.total += unknown.length;
    return unknown.length;
  }

  stop(): void {
    this.digest.flush();
  }
}
