/** Bursts on their way at once. With two, one event in a hundred waited 5 to 7 ms for a confirm at 500 a second, with eight half a millisecond. */
const MAX_OPEN = 8;
/** So many messages are worth a burst of their own, however many are on their way. */
const FULL_BURST = 100;
/** A burst that the broker has not confirmed for so long, in milliseconds, holds nobody back: perhaps one queue of many is slow. */
const HOLD_MS = 20;
/** A service that has sent so many messages … */
const BUSY_MESSAGES = 16;
/** … within so many milliseconds is busy, and its bursts leave at least so far apart. */
const PACE_MS = 10;

export interface Burst {
  readonly beganAt: number;
  size: number;
  unconfirmed: number;
}

/**
 * Lets messages of a busy service leave together. Broker and process pay for each write, not for each message in it; so while eight
 * bursts are unconfirmed, what comes meanwhile waits for one of them and forms the next, as segments do in Nagle's algorithm
 * (RFC 896) and commits in a database's group commit. Above 1,600 messages a second bursts also keep a distance. A quiet service's
 * message never waits.
 */
export class Bursts {
  private readonly open = new Set<Burst>();
  private current: Burst | undefined;
  /** Those of the last `PACE_MS`, oldest first. */
  private recent: Burst[] = [];
  private timer: NodeJS.Timeout | undefined;

  /** @param onRelease called when what was held back may go, because time has passed */
  constructor(private readonly onRelease: () => void) {}

  /** Whether so many waiting messages may leave now. If not, `onRelease` is called in time. */
  mayGo(waiting: number): boolean {
    if (waiting >= FULL_BURST) return true;
    const now = performance.now();
    const waitMs = Math.max(this.untilPaced(waiting, now), this.untilConfirmed(now));
    if (waitMs <= 0) return true;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.onRelease();
    }, Math.ceil(waitMs));
    return false;
  }

  /** What leaves from now on, until `end`, is one burst. */
  begin(): void {
    this.current = { beganAt: performance.now(), size: 0, unconfirmed: 0 };
  }

  end(): void {
    const { current } = this;
    this.current = undefined;
    if (!current || current.size === 0) return;
    this.forget(current.beganAt);
    this.recent.push(current);
    if (current.unconfirmed > 0) this.open.add(current);
  }

  /** A message leaves. @returns its burst, for `confirmed` */
  add(): Burst {
    const burst = this.current;
    if (!burst) throw new Error('no burst was begun');
    burst.size += 1;
    burst.unconfirmed += 1;
    return burst;
  }

  /** The outcome of a message of this burst is known. */
  confirmed(burst: Burst): void {
    burst.unconfirmed -= 1;
    if (burst.unconfirmed === 0) this.open.delete(burst);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Milliseconds to the next burst of a busy service; 0: none. */
  private untilPaced(waiting: number, now: number): number {
    this.forget(now);
    const last = this.recent.at(-1);
    if (!last) return 0;
    const sent = this.recent.reduce((sum, { size }) => sum + size, waiting);
    return sent >= BUSY_MESSAGES ? last.beganAt + PACE_MS - now : 0;
  }

  private forget(now: number): void {
    const from = this.recent.findIndex(({ beganAt }) => now - beganAt < PACE_MS);
    if (from !== 0) this.recent = from < 0 ? [] : this.recent.slice(from);
  }

  /** Milliseconds for which bursts on their way hold others back at most; 0: they do not. */
  private untilConfirmed(now: number): number {
    let holding = 0;
    let next = Infinity;
    for (const { beganAt } of this.open) {
      const left = beganAt + HOLD_MS - now;
      if (left <= 0) continue;
      holding += 1;
      next = Math.min(next, left);
    }
    return holding < MAX_OPEN ? 0 : next;
  }
}
