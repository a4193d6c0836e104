import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { OutboxStore, PublishSettlement } from '../outbox/outbox.store';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';

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

export interface SettlerListener {
  /** Some settlements are written or given up: `size` has shrunk. */
  onProgress(): void;
  /** This settlement is written. */
  onWritten(settlement: Settlement): void;
}

/**
 * Writes outcomes of publishing to the outbox, in batches that size themselves: what arrives while one statement runs, and for a
 * moment after it, forms the next. A quiet service settles each event at once, a busy one hundreds with one statement.
 * Nobody waits for it: until then the event is this process's by its lease.
 *
 * When the database cannot be asked the batch is kept and tried again until the leases of its rows have run out; then another
 * claim may hold them, and they are published again.
 */
export class Settler {
  private readonly logger = createLog();
  private readonly outage = new Outage(this.logger, {
    begins: 'Outcomes of publishing could not be written yet',
    ends: 'Outcomes of publishing are written again',
  });
  private waiting: Settlement[] = [];
  private running: Promise<void> | undefined;
  private unsettled = 0;
  private stopped = false;
  private hurried = false;
  private endPause: (() => void) | undefined;
  private wake: (() => void) | undefined;

  constructor(
    private readonly outbox: OutboxStore,
    private readonly leaseMs: number,
    private readonly hooks: HookRunner,
    private readonly listener: SettlerListener,
  ) {}

  /** Outcomes that are not written yet. */
  get size(): number {
    return this.unsettled;
  }

  add(settlement: Settlement): void {
    this.waiting.push(settlement);
    this.unsettled += 1;
    if (this.waiting.length >= FULL_BATCH) this.hurry();
    this.running ??= this.run();
  }

  /** Somebody waits for room: write what there is as soon as the present statement has ended. */
  hurry(): void {
    this.hurried = true;
    this.endPause?.();
  }

  /** Resolves when everything that was added is written or given up. */
  async idle(): Promise<void> {
    while (this.running) {
      this.hurry();
      await this.running;
    }
  }

  /** From now on each batch is tried once: the process is about to lose its database. */
  stop(): void {
    this.stopped = true;
    this.hurry();
    this.wake?.();
  }

  private async run(): Promise<void> {
    // Let the outcomes of this turn of the event loop join the first batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      this.hurried = false;
      const batch = this.waiting.length <= BATCH_SIZE ? this.waiting : this.waiting.slice(0, BATCH_SIZE);
      this.waiting = batch === this.waiting ? [] : this.waiting.slice(BATCH_SIZE);
      await this.settle(batch);
      this.unsettled -= batch.length;
      this.listener.onProgress();
      await this.pauseBetween();
    }
    this.running = undefined;
  }

  private async pauseBetween(): Promise<void> {
    if (this.hurried || this.waiting.length >= FULL_BATCH) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PAUSE_MS);
      this.endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.endPause = undefined;
  }

  private async settle(batch: readonly Settlement[]): Promise<void> {
    this.hooks.run('settling', { count: batch.length });
    const giveUpAt = performance.now() + this.leaseMs;
    for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, LAST_RETRY_MS)) {
      try {
        await this.write(batch);
        this.outage.over();
        return;
      } catch (error) {
        if (this.stopped || performance.now() + delayMs > giveUpAt) {
          this.logger.error('Outcomes of publishing could not be written; the events will be published again', {
            count: batch.length,
            eventIds: someIds(batch),
            error: describeError(error),
          });
          return;
        }
        this.outage.met({ count: batch.length, eventIds: someIds(batch), error: describeError(error) });
        await this.pause(delayMs);
      }
    }
  }

  private async write(batch: readonly Settlement[]): Promise<void> {
    const unsettled = await this.outbox.settle(batch);
    const lost = unsettled.filter(({ because }) => because === 'claim-lost').map(({ id }) => id);
    this.hooks.run('settled', { count: batch.length - unsettled.length });
    for (const eventId of lost) this.hooks.run('settleLost', { eventId });
    if (lost.length > 0)
      this.logger.warn('Claims were lost before they were settled; the other claim stands', { eventIds: lost });
    if (unsettled.length === 0) {
      for (const settlement of batch) this.listener.onWritten(settlement);
      return;
    }
    const notWritten = new Set(unsettled.map(({ id, token }) => `${id} ${token}`));
    for (const settlement of batch) {
      if (!notWritten.has(`${settlement.id} ${settlement.token}`)) this.listener.onWritten(settlement);
    }
  }

  private async pause(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
  }
}

/** Enough to find the others by. */
function someIds(batch: readonly Settlement[]): readonly string[] {
  return batch.slice(0, 10).map(({ id }) => id);
}
