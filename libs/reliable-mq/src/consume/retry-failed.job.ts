import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { Wakeups } from '../event/wakeups';
import type { ClaimedInboxRow } from '../inbox/inbox.store';
import { type Job, type ReportBatch, reportClaimed } from '../repair/job';
import type { ClaimedRow } from './claim';
import type { Consumer } from './consumer';
import { ConsumerGroup } from './consumer-group';

/** Rows that wait for a release which one statement wakes. */
const WAKE_LIMIT = 1000;
/** Time between two looks for rows that wait for what is handled here: an instance of an older release may store more, in milliseconds. */
const WAKE_EVERY_MS = 10_000;

/**
 * Claims what is due in the inbox, of each queue as many rows as it has slots free, and gives it to the queue's consumer. A run ends
 * when it has begun what can be begun, and not when that has ended: a slow handler must not hold up another queue's retries.
 */
@Injectable()
export class RetryFailedJob implements Job {
  readonly name = 'retry';
  /** Retries that a consumer has in hand. */
  private readonly inHand = new Map<Consumer, number>();
  /** Consumers of which more may be due than could be begun. */
  private readonly moreDue = new Set<Consumer>();
  /** Consumers whose suspects stand in line, or run. */
  private readonly suspecting = new Set<Consumer>();
  private readonly wokenAtMs = new PerDataSource(() => ({ ms: Number.NEGATIVE_INFINITY }));

  constructor(
    private readonly consumers: ConsumerGroup,
    private readonly wakeups: Wakeups,
  ) {}

  ready(set: StoreSet): boolean {
    return this.consumers.of(set).length > 0;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    await this.consumers.followPauses(set);
    await this.wakeWaiting(set);
    await this.retrySuspects(set, report, stop);
    if (!stop.aborted) await this.retryOthers(set, report, stop);
  }

  private async retryOthers(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const limits = new Map(this.consumers.active(set).map((consumer) => [consumer, this.limitOf(consumer)]));
    const queues = [...limits].map(([consumer, limit]) => ({ ...consumer.claimable(), limit }));
    const token = randomUUID();
    const total = queues.reduce((sum, { limit }) => sum + limit, 0);
    const rows = total > 0 ? await set.inbox.claim(queues, total, token, 'others') : [];
    if (stop.aborted) return this.release(set, rows, token);
    if (rows.length > 0) reportClaimed(report, rows);
    for (const row of rows) {
      const consumer = this.consumers.find(row);
      if (consumer) void this.retry(consumer, { row, token });
    }
    for (const [consumer, limit] of limits) {
      const begun = rows.filter((row) => this.consumers.find(row) === consumer).length;
      if (begun === limit) this.moreDue.add(consumer);
    }
  }

  /**
   * As many as could run now. When none could, and no retry is under way, one stands in line: otherwise a queue that is busy with what
   * the broker delivers would never come to its retries.
   */
  private limitOf(consumer: Consumer): number {
    return Math.max(consumer.slots.available, this.inHand.has(consumer) ? 0 : 1);
  }

  private async retry(consumer: Consumer, claimed: ClaimedRow): Promise<void> {
    this.inHand.set(consumer, (this.inHand.get(consumer) ?? 0) + 1);
    await consumer.retry(claimed);
    const left = (this.inHand.get(consumer) ?? 1) - 1;
    if (left > 0) this.inHand.set(consumer, left);
    else this.inHand.delete(consumer);
    // Its slot is free for the next row.
    if (this.moreDue.delete(consumer)) this.wakeups.wake('retry');
  }

  /** One by one: they are not even claimed before their turn. */
  private async retrySuspects(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const queues = this.consumers.active(set).map((consumer) => ({ ...consumer.claimable(), limit: 1 }));
    for (const queue of await set.inbox.queuesWithSuspects(queues)) {
      const consumer = this.consumers.find(queue);
      if (consumer && !this.suspecting.has(consumer)) void this.retrySuspect(set, consumer, report, stop);
    }
  }

  private async retrySuspect(set: StoreSet, consumer: Consumer, report: ReportBatch, stop: AbortSignal): Promise<void> {
    this.suspecting.add(consumer);
    let found = false;
    await consumer.retryAlone(async () => {
      if (stop.aborted) return undefined;
      const token = randomUUID();
      const [row] = await set.inbox.claim([{ ...consumer.claimable(), limit: 1 }], 1, token, 'suspects');
      if (!row) return undefined;
      found = true;
      reportClaimed(report, [row]);
      return { row, token };
    });
    this.suspecting.delete(consumer);
    // There may be more of them, unless another instance was faster.
    if (found) this.wakeups.wake('retry');
  }

  private async release(set: StoreSet, rows: readonly ClaimedInboxRow[], token: string): Promise<void> {
    for (const row of rows) await set.inbox.release(row, token, row);
  }

  private async wakeWaiting(set: StoreSet): Promise<void> {
    const woken = this.wokenAtMs.of(set);
    if (performance.now() - woken.ms < WAKE_EVERY_MS) return;
    const queues = this.consumers.of(set).map((consumer) => ({ ...consumer.claimable(), limit: WAKE_LIMIT }));
    if ((await set.inbox.wakeWaiting(queues, WAKE_LIMIT)) < WAKE_LIMIT) woken.ms = performance.now();
  }
}
