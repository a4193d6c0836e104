import { randomUUID } from 'node:crypto';
import type { Handling } from '../consume/handling';
import { handlingLeaseMs } from '../consume/handler';
import type { HandlerRegistry } from '../consume/handler-registry';
import type { ClaimedInboxRow } from '../inbox/inbox.store';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';

/** Attempts that run at once. */
const CONCURRENCY = 10;
/** From this many unfinished starts on, this one included, a message is suspected of killing its process, and runs alone. */
const SUSPECT_STARTS = 3;

/** Retries what handlers have failed at, from the inbox. */
export class RetryFailedJob implements Job {
  readonly name = 'retry';
  readonly dataSource: string;

  constructor(
    private readonly set: StoreSet,
    private readonly handlers: HandlerRegistry,
    private readonly handling: Handling,
  ) {
    this.dataSource = set.name;
  }

  ready(): boolean {
    return this.consumers().length > 0;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const running = new Set<Promise<void>>();
    while (!stop.aborted) {
      const token = randomUUID();
      const rows = await this.set.inbox.claim(this.consumers(), CONCURRENCY - running.size, {
        token,
        leaseMs: this.leaseMs(),
      });
      if (rows.length > 0) progress(rows.length);
      const [suspect, ...otherSuspects] = rows.filter((row) => row.unfinishedStarts >= SUSPECT_STARTS);
      for (const row of rows)
        if (row.unfinishedStarts < SUSPECT_STARTS) this.start(() => this.attempt(row, token), running);
      if (suspect) {
        // Given back at once: a claim that merely waits for its turn would look like one more start that never finished.
        for (const row of otherSuspects) await this.set.inbox.release(row, token);
        await Promise.all(running);
        await this.attempt(suspect, token);
      }
      if (rows.length === 0 && running.size === 0) return;
      // Claim again when half of the places are free: one slow handler holds up nobody, and not every row costs a claim.
      while (running.size > CONCURRENCY / 2 || (rows.length === 0 && running.size > 0)) await Promise.race(running);
    }
    await Promise.all(running);
  }

  private start(attempt: () => Promise<void>, running: Set<Promise<void>>): void {
    const work: Promise<void> = attempt().finally(() => running.delete(work));
    running.add(work);
  }

  private async attempt(row: ClaimedInboxRow, token: string): Promise<void> {
    const queue = this.handlers.find(row.consumer, row.type);
    if (queue) await this.handling.handleClaimed(row, token, queue);
  }

  private queues() {
    return this.handlers
      .all()
      .filter((queue) => [...queue.byVersion.values()].some(({ stores }) => stores === this.set));
  }

  private consumers(): readonly string[] {
    return [...new Set(this.queues().map(({ consumer }) => consumer))];
  }

  /** The longest of its handlers': one statement claims for all of them. */
  private leaseMs(): number {
    const timeouts = this.queues().flatMap((queue) => [...queue.byVersion.values()].map(({ timeoutMs }) => timeoutMs));
    return handlingLeaseMs(Math.max(...timeouts));
  }
}
