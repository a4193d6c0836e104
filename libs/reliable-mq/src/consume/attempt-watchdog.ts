import { onAbort } from '../domain/on-abort';

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
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.expire(tooLong()), phaseMs);
  }

  /** The last phase begins: it isn't cut off for a stopping process, because what is cut off here may have happened. */
  enterLast(phaseMs: number, tooLong: () => Error): void {
    this.enter(phaseMs, tooLong);
    this.stopListening();
  }

  throwIfExpired(): void {
    if (this.reason) throw this.reason;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.stopListening();
  }
}
