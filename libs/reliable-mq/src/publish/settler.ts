import type { DatabasePort } from '../database/port';
import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';
import { WarningDigest } from '../log/warning-digest';
import { describeError } from '../log/describe-error';
import type { OutboxStore, PublishSettlement } from '../outbox/outbox.store';
import { Signal } from '../wait/signal';

const BATCH_SIZE = 1000;
/** From one statement to the next, in milliseconds: at most 40 a second, however busy the service is. */
const PAUSE_MS = 25;
/** So many outcomes do not wait for the others. */
const FULL_BATCH = 500;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;

/** An outcome to write, and the type of its event for what is said of it. */
export interface Settlement extends PublishSettlement {
  readonly type: string;
  /** It had been published before, and waits for receipts. */
  readonly isPublished?: boolean;
}

/**
 * Writes outcomes of publishing to the outbox, in batches that size themselves: what arrives while one statement runs, and for a
 * moment after it, forms the next. A quiet service settles each event at once, a busy one hundreds with one statement.
 * Nobody waits for it: until then the event is this process's by its lease.
 *
 * When the database cannot be asked the batch is kept and tried again until the leases of its rows have run out; then another
 * claim may hold them, and they are published again. An outcome that the database refuses is told apart from the others, which are written.
 */
export class Settler {
  private readonly logger = createLog();
  private readonly outage = new Outage(this.logger, {
    begins: 'Outcomes of publishing could not be written yet',
    ends: 'Outcomes of publishing are written again',
  });
  private readonly unwritable = new WarningDigest((details) =>
    this.logger.error('An outcome of publishing could not be written; the event will be published again', details),
  );
  private readonly progress = new Signal();
  private waiting: Settlement[] = [];
  private running: Promise<void> | undefined;
  private unwritten = 0;
  private hurried = false;
  private stopped = false;
  /** Ends the pause between two statements, or before a failed one is tried again. */
  private endPause: { readonly betweenStatements: boolean; readonly end: () => void } | undefined;

  constructor(
    private readonly store: { readonly outbox: OutboxStore; readonly database: Pick<DatabasePort, 'failureOf'> },
    private readonly leaseMs: number,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
  ) {}

  /** Outcomes that are neither written nor given up. */
  get size(): number {
    return this.unwritten;
  }

  add(settlement: Settlement): void {
    this.waiting.push(settlement);
    this.unwritten += 1;
    if (this.waiting.length >= FULL_BATCH) this.hurry();
    this.running ??= this.run();
  }

  /** Somebody waits for room: write what there is as soon as the present statement has ended. */
  hurry(): void {
    this.hurried = true;
    if (this.endPause?.betweenStatements) this.endPause.end();
  }

  /** Resolves when `size` has shrunk. */
  shrunk(): Promise<void> {
    return this.progress.next();
  }

  /** Resolves when everything that was added is written or given up. */
  async idle(): Promise<void> {
    while (this.running) {
      this.hurry();
      await Promise.race([this.running, this.shrunk()]);
    }
  }

  /** From now on each batch is tried once: the process is about to lose its database. */
  stop(): void {
    this.stopped = true;
    this.hurried = true;
    this.endPause?.end();
    this.unwritable.flush();
  }

  private async run(): Promise<void> {
    // Let the outcomes of this turn of the event loop join the first batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, BATCH_SIZE);
      this.hooks.run('settling', { count: batch.length });
      await this.settle(batch, performance.now() + this.leaseMs);
      this.unwritten -= batch.length;
      this.progress.give();
      if (!this.hurried && this.waiting.length < FULL_BATCH) await this.pause(PAUSE_MS, true);
      this.hurried = false;
    }
    this.running = undefined;
  }

  /** Resolves when each outcome is written or given up. */
  private async settle(batch: readonly Settlement[], giveUpAtMs: number): Promise<void> {
    for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, LAST_RETRY_MS)) {
      try {
        this.tell(batch, await this.store.outbox.settle(batch));
        this.outage.over();
        return;
      } catch (error) {
        const failure = this.store.database.failureOf(error);
        const isRefused = failure === 'refused';
        if (this.stopped || performance.now() + delayMs > giveUpAtMs || (isRefused && batch.length === 1)) {
          const reason = describeError(error);
          for (const { id, type, result } of batch) this.unwritable.add(id, { type, reason }, { result });
          return;
        }
        if (isRefused) {
          const middle = batch.length >> 1;
          await this.settle(batch.slice(0, middle), giveUpAtMs);
          return this.settle(batch.slice(middle), giveUpAtMs);
        }
        // A deadlock is no outage, unless it comes again at once.
        if (failure !== 'conflict' || delayMs > FIRST_RETRY_MS)
          this.outage.met({ count: batch.length, eventIds: someIds(batch), error });
        await this.pause(delayMs, false);
      }
    }
  }

  /** Only what is written is told: an outcome whose claim was lost is not the event's. */
  private tell(batch: readonly Settlement[], unsettled: Awaited<ReturnType<OutboxStore['settle']>>): void {
    const notWritten = new Set(unsettled.map(({ id, token }) => `${id} ${token}`));
    const lost = unsettled.filter(({ because }) => because === 'claim-lost');
    this.hooks.run('settled', { count: batch.length - unsettled.length });
    for (const { id } of lost) this.hooks.run('settleLost', { eventId: id });
    if (lost.length > 0)
      this.logger.warn('Claims were lost before they were settled; the other claim stands', {
        count: lost.length,
        eventIds: someIds(lost),
      });
    const missing = unsettled.filter(({ because }) => because === 'missing');
    if (missing.length > 0)
      this.logger.warn('Events were published that are not in the outbox: deleted, or the database has lost commits', {
        count: missing.length,
        eventIds: someIds(missing),
      });
    for (const settlement of batch) {
      const { id, token, result } = settlement;
      if (result === 'published' || (notWritten.size > 0 && notWritten.has(`${id} ${token}`))) continue;
      this.tellUnpublished(settlement);
    }
  }

  private tellUnpublished({ id, type, result, reason, delayMs, isPublished }: Settlement): void {
    if (result === 'dead') {
      const event = { eventId: id, type, reason: reason ?? '' };
      this.logger.error('An event is dead: its producer gave it up', event);
      this.hooks.run('dead', event);
      this.wakeups.wake('compensate');
    } else if (!isPublished) {
      this.wakeups.wake('publish', delayMs);
    }
  }

  private async pause(ms: number, betweenStatements: boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.endPause = { betweenStatements, end };
    });
    this.endPause = undefined;
  }
}

/** Enough to find the others by. */
function someIds(events: readonly { readonly id: string }[]): readonly string[] {
  return events.slice(0, 10).map(({ id }) => id);
}
