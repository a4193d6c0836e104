import { randomUUID } from 'node:crypto';
import type { Handling } from './handling';
import { handlingLeaseMs } from './handler';
import type { HandlerRegistry, QueueHandlers } from './handler-registry';
import type { ClaimableQueue, ClaimedInboxRow } from '../inbox/inbox.store';
import type { StoreSet } from '../database/stores';
import { type Job, type ReportBatch, reportClaimed } from '../repair/job';
import { UnansweredClaims } from './unanswered-claims';

/** Attempts that run at once. */
const CONCURRENCY = 10;

/**
 * Retries what handlers have failed at, from the inbox. A run ends when nothing more is due, and not when the attempts that
 * it began have ended: a slow handler must not hold up what falls due meanwhile. `Handling.idle` waits for those.
 */
export class RetryFailedJob implements Job {
  readonly name = 'retry';
  readonly dataSource: string;
  private readonly running = new Set<Promise<void>>();
  private readonly unanswered: UnansweredClaims;

  constructor(
    private readonly set: StoreSet,
    private readonly handlers: HandlerRegistry,
    private readonly handling: Handling,
  ) {
    this.dataSource = set.name;
    this.unanswered = new UnansweredClaims(set);
  }

  ready(): boolean {
    return this.queues().length > 0;
  }

  async run(report: ReportBatch, stop: AbortSignal): Promise<void> {
    await this.unanswered.giveBack();
    await this.retrySuspects(report, stop);
    while (!stop.aborted) {
      const free = CONCURRENCY - this.running.size;
      // Claim again when half of the places are free, so that not every row costs a claim.
      if (free < CONCURRENCY / 2) {
        await Promise.race(this.running);
        continue;
      }
      const claimed = await this.claim(free, 'others', report, stop);
      for (const { row, token } of claimed) this.start(this.attempt(row, token, false));
      if (claimed.length < free) return;
    }
  }

  /**
   * What may kill its process runs alone, one by one: if the process dies, it dies of that one, and the others are not
   * suspected further. They are not even claimed before their turn, because a claim that waits looks like a start.
   */
  private async retrySuspects(report: ReportBatch, stop: AbortSignal): Promise<void> {
    while (!stop.aborted && (await this.set.inbox.hasDueSuspect(this.claimable()))) {
      let found = false;
      await this.handling.alone(async () => {
        for (const { row, token } of await this.claim(1, 'suspects', report, stop)) {
          found = true;
          await this.attempt(row, token, true);
        }
      });
      // Another instance was faster.
      if (!found) return;
    }
  }

  private async claim(
    limit: number,
    which: 'suspects' | 'others',
    report: ReportBatch,
    stop: AbortSignal,
  ): Promise<readonly { readonly row: ClaimedInboxRow; readonly token: string }[]> {
    if (stop.aborted) return [];
    const token = randomUUID();
    const queues = this.claimable();
    const rows = await this.set.inbox.claim(queues, limit, token, which).catch((error: unknown) => {
      this.unanswered.afterFailure(token, Math.max(...queues.map(({ leaseMs }) => leaseMs)), error);
      throw error;
    });
    if (stop.aborted) {
      for (const row of rows) await this.set.inbox.release(row, token);
      return [];
    }
    if (rows.length > 0) reportClaimed(report, rows);
    return rows.map((row) => ({ row, token }));
  }

  private start(attempt: Promise<void>): void {
    const work = attempt.finally(() => this.running.delete(work));
    this.running.add(work);
  }

  private async attempt(row: ClaimedInboxRow, token: string, alone: boolean): Promise<void> {
    const queue = this.handlers.find(row.consumer, row.type);
    if (queue) await this.handling.handleClaimed(row, token, queue, alone);
  }

  private queues(): readonly QueueHandlers[] {
    return this.handlers.all().filter(({ stores }) => stores === this.set);
  }

  /** Only what has a handler here: an instance of an older release must leave the rows of newer handlers alone. */
  private claimable(): readonly ClaimableQueue[] {
    return this.queues().map(({ consumer, type, byVersion }) => {
      const timeouts = [...byVersion.values()].map(({ timeoutMs }) => timeoutMs);
      return { consumer, type, leaseMs: handlingLeaseMs(Math.max(...timeouts)) };
    });
  }
}
