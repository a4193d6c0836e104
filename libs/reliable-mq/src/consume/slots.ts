/** How many runs of a queue's handlers there are at once: first attempts and retries alike, in the order in which they ask. */
export class Slots {
  private free: number;
  private readonly line: (() => void)[] = [];

  constructor(readonly size: number) {
    this.free = size;
  }

  /** How many could be taken now. */
  get available(): number {
    return this.free;
  }

  /** @returns undefined when there is a slot at once; otherwise a promise for the next one */
  take(): Promise<void> | undefined {
    if (this.free === 0) return new Promise((resolve) => this.line.push(resolve));
    this.free -= 1;
    return undefined;
  }

  give(): void {
    const next = this.line.shift();
    if (next) next();
    else this.free += 1;
  }
}
