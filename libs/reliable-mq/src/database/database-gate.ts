import { describeError } from '../event/errors';
import type { DatabasePort } from './port';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 5000;

/** Lets work wait while a database is away: everyone who finds it away waits for one probe with growing delays. */
export class DatabaseGate {
  private readonly outage = new Outage(createLog(), {
    begins: 'The database is not available; work waits for it',
    ends: 'The database is available again',
  });
  private recovering: Promise<void> | undefined;
  private stopped = false;
  private wake: (() => void) | undefined;
  private delayMs = FIRST_DELAY_MS;
  private openedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly name: string,
    private readonly database: Pick<DatabasePort, 'ping'>,
  ) {}

  /** Whether nobody has found the database away. */
  get isOpen(): boolean {
    return this.recovering === undefined;
  }

  /** Resolves when the database answers; at once when nobody has found it away. */
  async open(): Promise<void> {
    await this.recovering;
  }

  /** Report that the database is away. Resolves when it answers again, or this gate is stopped. */
  async recover(error: unknown): Promise<void> {
    this.recovering ??= this.probe(error).finally(() => (this.recovering = undefined));
    await this.recovering;
  }

  stop(): void {
    this.stopped = true;
    this.wake?.();
  }

  private async probe(error: unknown): Promise<void> {
    this.outage.met({ dataSource: this.name, error: describeError(error) });
    // A database that answers the probe and fails the work again (a standby that takes no writes) must not be asked in a hot loop.
    if (performance.now() - this.openedAt > 2 * LAST_DELAY_MS) this.delayMs = FIRST_DELAY_MS;
    while (!this.stopped) {
      await this.pause(this.delayMs);
      this.delayMs = Math.min(this.delayMs * 2, LAST_DELAY_MS);
      if (this.stopped) return;
      try {
        await this.database.ping(LAST_DELAY_MS);
        this.openedAt = performance.now();
        this.outage.over({ dataSource: this.name });
        return;
      } catch {
        // Still away: the next delay is longer.
      }
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
  }
}
