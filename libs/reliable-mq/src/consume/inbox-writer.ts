import { StatementTooLargeError } from '../database/port';
import type { StoreSet } from '../database/stores';
import { describeError } from '../event/errors';
import { createLog } from '../log/log';
import { backoffMs } from '../wait/backoff';
import { onAbort } from '../wait/on-abort';

/** Delays between tries of a statement that the database refuses: a person has to mend something (a table, a right). */
const REFUSED_BACKOFF = { initialMs: 200, maxMs: 10_000, jitter: 0.2 };

/**
 * Lets statements on the inbox wait for a database that is away and go on when it is back; they end without a result only when the
 * process is stopping.
 */
export class InboxWriter {
  private readonly log = createLog();

  constructor(private readonly stop: AbortSignal) {}

  get isStopping(): boolean {
    return this.stop.aborted;
  }

  /**
   * Run a statement until it succeeds.
   * @throws StatementTooLargeError at once: it would be too large again
   * @param isOwed try it once even when the process is stopping
   * @returns undefined when the process is stopping
   */
  async persist<T>(set: StoreSet, statement: () => Promise<T>, isOwed = false): Promise<T | undefined> {
    for (let attempt = 1; !this.stop.aborted || (isOwed && attempt === 1); attempt += 1) {
      try {
        return await statement();
      } catch (error) {
        if (error instanceof StatementTooLargeError) throw error;
        if (set.database.failureOf(error) === 'unavailable') await this.recovered(set, error);
        else await this.afterRefusal(set, attempt, error);
      }
    }
    return undefined;
  }

  /** @returns undefined when nothing is known to be wrong with the database; else a promise until it answers or the process is stopping */
  available({ gate }: StoreSet): Promise<void> | undefined {
    return gate.isOpen ? undefined : this.unlessStopped(gate.open());
  }

  /** The database was found away: resolves when it answers again, or the process is stopping. */
  recovered({ gate }: StoreSet, error: unknown): Promise<void> {
    return this.unlessStopped(gate.recover(error));
  }

  /** Resolves after so many milliseconds, or when the process is stopping. */
  async pause(delayMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await this.unlessStopped(new Promise<void>((resolve) => (timer = setTimeout(resolve, delayMs))));
    clearTimeout(timer);
  }

  private async afterRefusal(set: StoreSet, attempt: number, error: unknown): Promise<void> {
    this.log.error('A statement on the inbox failed; tried again', {
      dataSource: set.name,
      attempt,
      error: describeError(error),
    });
    await this.pause(backoffMs(REFUSED_BACKOFF, attempt));
  }

  private async unlessStopped(work: Promise<void>): Promise<void> {
    let stopListening: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => (stopListening = onAbort(this.stop, resolve)));
    await Promise.race([work, stopped]);
    stopListening();
  }
}
