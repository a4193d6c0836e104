import { onAbort } from '../wait/on-abort';

/** The process must stop, and the attempt was cut off for it. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** Ends an attempt from outside: when a phase of it takes too long, or the process has to stop. */
export class AttemptWatchdog {
  /** Rejects with why the attempt must end. */
  readonly expired: Promise<never>;
  private expire: (reason: Error) => void = () => undefined;
  private readonly stopListening: () => void;
  private timer: NodeJS.Timeout | undefined;
  /** When the timer calls, by `performance.now()`. */
  private callsAt = Number.POSITIVE_INFINITY;
  private phaseEndsAt = Number.POSITIVE_INFINITY;
  private tooLong: () => Error = () => new Error('no phase has begun');
  private reason: Error | undefined;

  constructor(stop: AbortSignal) {
    this.expired = new Promise<never>((_, reject) => {
      this.expire = (reason) => {
        this.reason ??= reason;
        reject(reason);
      };
    });
    this.expired.catch(() => undefined);
    this.stopListening = onAbort(stop, () => this.expire(new Stopped('the process is stopping')));
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
