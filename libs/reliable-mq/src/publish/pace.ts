/** A service that has sent so many messages … */
const BUSY_MESSAGES = 16;
/** … within so many milliseconds is busy, and its bursts leave at least so far apart. */
const PACE_MS = 10;
/** So many messages are worth a burst of their own, whenever the last one left. */
const FULL_BURST = 100;

interface Burst {
  readonly leftAtMs: number;
  readonly size: number;
}

/**
 * Lets the messages of a busy service leave together: broker and process pay for each write, not for each message in it. Above 1,600
 * messages a second bursts keep a distance; a quiet service's message never waits.
 */
export class Pace {
  /** Those of the last `PACE_MS`, oldest first. */
  private recent: Burst[] = [];

  /** @returns milliseconds until so many waiting messages may leave; 0: now */
  waitMs(waiting: number): number {
    if (waiting >= FULL_BURST) return 0;
    const now = performance.now();
    this.forget(now);
    const last = this.recent.at(-1);
    const sent = this.recent.reduce((sum, { size }) => sum + size, waiting);
    return last && sent >= BUSY_MESSAGES ? Math.max(1, Math.ceil(last.leftAtMs + PACE_MS - now)) : 0;
  }

  /** So many messages have left together. */
  left(size: number): void {
    const now = performance.now();
    this.forget(now);
    if (size > 0) this.recent.push({ leftAtMs: now, size });
  }

  private forget(now: number): void {
    const from = this.recent.findIndex(({ leftAtMs }) => now - leftAtMs < PACE_MS);
    if (from !== 0) this.recent = from < 0 ? [] : this.recent.slice(from);
  }
}
