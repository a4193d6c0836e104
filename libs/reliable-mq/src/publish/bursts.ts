/** Bursts on their way at once. */
const MAX_OPEN = 2;
/** So many messages are worth a burst of their own, however many are on their way. */
const FULL_BURST = 100;
/** A burst that the broker has not confirmed for so long, in milliseconds, holds nobody back: perhaps one queue of many is slow. */
const HOLD_MS = 20;

interface Burst {
  readonly beganAt: number;
  unconfirmed: number;
}

/**
 * Lets messages of a busy service leave together. A broker pays for each write to a queue's log, not for each message in it; so
 * while two bursts are unconfirmed, what comes meanwhile waits for one of them and forms the next, as segments do in Nagle's
 * algorithm (RFC 896) and commits in a database's group commit. A quiet service's message never waits.
 */
export class Bursts {
  private readonly open = new Set<Burst>();
  private current: Burst | undefined;
  private timer: NodeJS.Timeout | undefined;

  /** @param onRelease called when what was held back may go, because time has passed */
  constructor(private readonly onRelease: () => void) {}

  /** Whether so many waiting messages may leave now. If not, `onRelease` is called in time. */
  mayGo(waiting: number): boolean {
    if (this.open.size < MAX_OPEN || waiting >= FULL_BURST) return true;
    const now = performance.now();
    let holding = 0;
    let next = Infinity;
    for (const { beganAt } of this.open) {
      const left = beganAt + HOLD_MS - now;
      if (left <= 0) continue;
      holding += 1;
      next = Math.min(next, left);
    }
    if (holding < MAX_OPEN) return true;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.onRelease();
    }, Math.ceil(next));
    return false;
  }

  /** What leaves from now on, until `end`, is one burst. */
  begin(): void {
    this.current = { beganAt: performance.now(), unconfirmed: 0 };
  }

  end(): void {
    if (this.current && this.current.unconfirmed > 0) this.open.add(this.current);
    this.current = undefined;
  }

  /** A message leaves. @returns to be called when its outcome is known */
  add(): () => void {
    const burst = this.current;
    if (!burst) throw new Error('no burst was begun');
    burst.unconfirmed += 1;
    return () => {
      burst.unconfirmed -= 1;
      if (burst.unconfirmed === 0) this.open.delete(burst);
    };
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
