import { backoffMs, type Backoff } from '../../wait/backoff';

const BACKOFF: Backoff = { initialMs: 50, maxMs: 5_000, jitter: 0.2 };
/** What went well for so long is over: the next failure is a new one. */
const FORGET_AFTER_MS = 10_000;

/**
 * Runs something again after a failure: soon at first, then slower, so that a channel which the broker closes each time, or a
 * queue which somebody deletes each time, makes no hot loop.
 */
export class RetryTimer {
  private timer: NodeJS.Timeout | undefined;
  private attempt = 0;
  private lastAt = 0;

  /** Runs the function after the delay that is due now; does nothing while a run is already scheduled. */
  schedule(run: () => void): void {
    if (this.timer) return;
    const now = performance.now();
    this.attempt = now - this.lastAt > FORGET_AFTER_MS ? 1 : this.attempt + 1;
    const delayMs = backoffMs(BACKOFF, this.attempt);
    this.lastAt = now + delayMs;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      run();
    }, delayMs);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
