/** The process must stop, and the attempt was cut off for it. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** One timer, and one listener to the end of the process, for all attempts that run. */
class Watch {
  private readonly running = new Set<AttemptWatchdog>();
  private timer: NodeJS.Timeout | undefined;
  /** When the timer calls, by `performance.now()`. */
  callsAt = Number.POSITIVE_INFINITY;

  constructor(stop: AbortSignal) {
    stop.addEventListener('abort', () => this.running.forEach((each) => each.stop()), { once: true });
  }

  add(watchdog: AttemptWatchdog): void {
    this.running.add(watchdog);
  }

  remove(watchdog: AttemptWatchdog): void {
    this.running.delete(watchdog);
    if (this.running.size === 0) this.callAt(Number.POSITIVE_INFINITY);
  }

  callAt(endsAt: number): void {
    clearTimeout(this.timer);
    this.callsAt = endsAt;
    this.timer = Number.isFinite(endsAt)
      ? setTimeout(() => this.look(), Math.max(1, endsAt - performance.now()))
      : undefined;
  }

  private look(): void {
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const each of this.running) next = Math.min(next, each.look(now));
    this.callAt(next);
  }
}

const watches = new WeakMap<AbortSignal, Watch>();

function watchOf(stop: AbortSignal): Watch {
  let watch = watches.get(stop);
  if (!watch) watches.set(stop, (watch = new Watch(stop)));
  return watch;
}

/** Ends an attempt from outside: when a phase of it takes too long, or the process has to stop. */
export class AttemptWatchdog {
  private readonly watch: Watch;
  private cutOff: (reason: Error) => void = () => undefined;
  private phaseEndsAt = Number.POSITIVE_INFINITY;
  private tooLong: () => Error = () => new Error('no phase has begun');
  private reason: Error | undefined;
  private isLastPhase = false;

  constructor(stop: AbortSignal) {
    this.watch = watchOf(stop);
    this.watch.add(this);
    if (stop.aborted) this.stop();
  }

  /** The work's end, or why the attempt must end if that comes first. The work itself goes on; its later failure is ignored. */
  limit<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      this.cutOff = reject;
      if (this.reason) reject(this.reason);
    });
  }

  /** A phase begins, and may take so many milliseconds. */
  enter(phaseMs: number, tooLong: () => Error): void {
    if (this.reason) throw this.reason;
    this.phaseEndsAt = performance.now() + phaseMs;
    this.tooLong = tooLong;
    // One that calls before the phase is over looks again: most phases need no timer of their own.
    if (this.phaseEndsAt < this.watch.callsAt) this.watch.callAt(this.phaseEndsAt);
  }

  /** The last phase begins: it isn't cut off for a stopping process, because what is cut off here may have happened. */
  enterLast(phaseMs: number, tooLong: () => Error): void {
    this.enter(phaseMs, tooLong);
    this.isLastPhase = true;
  }

  /** Whether the error is why it has expired: the work may still run, and must be cut off. */
  hasExpiredBy(error: unknown): error is Error {
    return this.reason !== undefined && error === this.reason;
  }

  throwIfExpired(): void {
    if (this.reason) throw this.reason;
  }

  dispose(): void {
    this.watch.remove(this);
  }

  /** The process has to stop. */
  stop(): void {
    if (!this.isLastPhase) this.expire(new Stopped('the process is stopping'));
  }

  /** @returns when to look again */
  look(now: number): number {
    // Timers may call a millisecond early.
    if (this.phaseEndsAt - now <= 1) this.expire(this.tooLong());
    return this.phaseEndsAt;
  }

  private expire(reason: Error): void {
    this.phaseEndsAt = Number.POSITIVE_INFINITY;
    this.reason ??= reason;
    this.cutOff(this.reason);
  }
}
