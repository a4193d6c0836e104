import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { ConsumerGroup } from './consumer-group';
import { handlingLeaseMs } from './handler';
import { HandlerRegistry, type QueueHandlers } from './handler-registry';
import type { ClaimableQueue, ClaimedInboxRow } from '../inbox/inbox.store';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { type Job, type ReportBatch, reportClaimed } from '../repair/job';
import { UnansweredClaims } from './unanswered-claims';

/** Attempts that run at once. */
const CONCURRENCY = 10;

/**
 * Retries what handlers have failed at, from the inbox. A run ends when nothing more is due, and not when the attempts that
 * it began have ended: a slow handler must not hold up what falls due meanwhile. `Handling.idle` waits for those.
 */
@Injectable()
export class RetryFailedJob implements Job {
  readonly name = 'retry';
  /** What it has begun, of each DataSource. */
  private readonly running = new PerDataSource(() => new Set<Promise<void>>());
  private readonly unanswered = new PerDataSource((set) => new UnansweredClaims(set));

  constructor(
    private readonly handlers: HandlerRegistry,
    private readonly consumers: ConsumerGroup,
  ) {}

  ready(set: StoreSet): boolean {
    return this.queues(set).length > 0;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const running = this.running.of(set);
    await this.unanswered.of(set).giveBack();
    await this.retrySuspects(set, report, stop);
    while (!stop.aborted) {
      const free = CONCURRENCY - running.size;
      // Claim again when half of the places are free, so that not every row costs a claim.
      if (free < CONCURRENCY / 2) {
        await Promise.race(running);
        continue;
      }
      const claimed = await this.claim(set, free, 'others', report, stop);
      for (const { row, token } of claimed) this.start(set, this.attempt(row, token, false));
      if (claimed.length < free) return;
    }
  }

  /**
   * What may kill its process runs alone, one by one: if the process dies, it dies of that one, and the others are not
   * suspected further. They are not even claimed before their turn, because a claim that waits looks like a start.
   */
  private async retrySuspects(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    while (!stop.aborted && (await set.inbox.hasDueSuspect(this.claimable(set)))) {
      let found = false;
      await this.consumers.handling.alone(async () => {
        for (const { row, token } of await this.claim(set, 1, 'suspects', report, stop)) {
          found = true;
          await this.attempt(row, token, true);
        }
      });
      // Another instance was faster.
      if (!found) return;
    }
  }

  private async claim(
    set: StoreSet,
    limit: number,
    which: 'suspects' | 'others',
    report: ReportBatch,
    stop: AbortSignal,
  ): Promise<readonly { readonly row: ClaimedInboxRow; readonly token: string }[]> {
    if (stop.aborted) return [];
    const token = randomUUID();
    const queues = this.claimable(set);
    const rows = await set.inbox.claim(queues, limit, token, which).catch((error: unknown) => {
      this.unanswered.of(set).afterFailure(token, Math.max(...queues.map(({ leaseMs }) => leaseMs)), error);
      throw error;
    });
    if (stop.aborted) {
      for (const row of rows) await set.inbox.release(row, token);
      return [];
    }
    if (rows.length > 0) reportClaimed(report, rows);
    return rows.map((row) => ({ row, token }));
  }

  private start(set: StoreSet, attempt: Promise<void>): void {
    const running = this.running.of(set);
    const work = attempt.finally(() => running.delete(work));
    running.add(work);
  }

  private async attempt(row: ClaimedInboxRow, token: string, alone: boolean): Promise<void> {
    const queue = this.handlers.find(row.consumer, row.type);
    if (queue) await this.consumers.handling.handleClaimed(row, token, queue, alone);
  }

  private queues(set: StoreSet): readonly QueueHandlers[] {
    return this.handlers.all().filter(({ stores }) => stores === set);
  }

  /** Only what has a handler here: an instance of an older release must leave the rows of newer handlers alone. */
  private claimable(set: StoreSet): readonly ClaimableQueue[] {
    return this.queues(set).map(({ consumer, type, byVersion }) => {
      const timeouts = [...byVersion.values()].map(({ timeoutMs }) => timeoutMs);
      return { consumer, type, leaseMs: handlingLeaseMs(Math.max(...timeouts)) };
    });
  }
}
