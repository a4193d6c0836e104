import { finishesWithin } from '../wait/deadline';

/** How long the others are kept waiting before and after one begins to run alone, in milliseconds. */
const QUIET_MS = 10_000;

/**
 * Lets attempts run side by side, and a suspect one alone: should it kill the process, nothing else is counted as started
 * with it. A message that kills does so soon, as a rule; so the others wait for `QUIET_MS` at most, and not for as long as a
 * suspect's handler may take.
 */
export class Isolation {
  private running = 0;
  private onIdle: (() => void) | undefined;
  private quiet: Promise<void> | undefined;

  constructor(private readonly quietMs = QUIET_MS) {}

  /** One begins to run beside the others. @returns when it may; undefined: now */
  enter(): Promise<void> | undefined {
    if (this.quiet) return this.enterAfter();
    this.running += 1;
    return undefined;
  }

  /** One that has entered does not run any more. */
  leave(): void {
    this.running -= 1;
    if (this.running === 0) this.onIdle?.();
  }

  private async enterAfter(): Promise<void> {
    while (this.quiet) await this.quiet;
    this.running += 1;
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.quiet) await this.quiet;
    let end: () => void = () => undefined;
    const quiet = new Promise<void>((resolve) => (end = resolve));
    this.quiet = quiet;
    const endQuiet = (): void => {
      if (this.quiet === quiet) this.quiet = undefined;
      end();
    };
    let timer: NodeJS.Timeout | undefined;
    try {
      await finishesWithin(this.quietMs, this.idle());
      timer = setTimeout(endQuiet, this.quietMs);
      this.running += 1;
      try {
        return await work();
      } finally {
        this.leave();
      }
    } finally {
      clearTimeout(timer);
      endQuiet();
    }
  }

  /** Resolves when nothing runs; nothing starts while somebody waits for it. */
  private idle(): Promise<void> {
    return this.running === 0 ? Promise.resolve() : new Promise((resolve) => (this.onIdle = resolve));
  }
}
