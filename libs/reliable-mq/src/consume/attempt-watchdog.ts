import { onAbort } from '../wait/on-abort';

/** The process must stop, and the attempt was cut off for it. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Ends an attempt from outside: when a phase of it takes too long, or the process has to stop. */
export class AttemptWatchdog {
  private cutOff: (reason: Error) => void = () => undefined;
  private readonly stopListening: () => void;
  private timer: NodeJS.Timeout | undefined;
  /** When the timer calls, by `performance.now()`. */
  private callsAt = Number.POSITIVE_INFINITY;
  private phaseEndsAt = Number.POSITIVE_INFINITY;
  private tooLong: () => Error = () => new Error('no phase has begun');
  private reason: Error | undefined;

  constructor(stop: AbortSignal) {
    this.stopListening = onAbort(stop, () => this.expire(new Stopped('the process is stopping')));
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
    this.throwIfExpired();
    this.phaseEndsAt = performance.now() + phaseMs;
    this.tooLong = tooLong;
    // One that calls before the phase is over looks again: most phases need no timer of their own.
    if (this.callsAt > this.phaseEndsAt) this.callIn(phaseMs);
  }

  /** The last phase begins: it isn't cut off for a stopping process, because what is cut off here may have happened. */
  enterLast(phaseMs: number, tooLong: () => Error): void {
    this.enter(phaseMs, tooLong);
    this.stopListening();
  }

  /** Whether the error is why it has expired: the work may still run, and must be cut off. */
  hasExpiredBy(error: unknown): error is Error {
    return this.reason !== undefined && error === this.reason;
  }

  throwIfExpired(): void {
    if (this.reason) throw this.reason;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.stopListening();
  }

  private expire(reason: Error): void {
    this.reason ??= reason;
    this.cutOff(this.reason);
  }

  private callIn(delayMs: number): void {
    clearTimeout(this.timer);
    this.callsAt = performance.now() + delayMs;
    this.timer = setTimeout(() => {
      const leftMs = this.phaseEndsAt - performance.now();
      // Timers may call a millisecond early.
      if (leftMs > 1) this.callIn(leftMs);
      else this.expire(this.tooLong());
    }, delayMs);
  }
}
