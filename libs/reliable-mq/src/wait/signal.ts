/** Something that several callers wait for: all who wait when it is given go on. */
export class Signal {
  private waiting: (() => void)[] = [];

  /** Resolves when it is given next. */
  next(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  give(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const goOn of waiting) goOn();
  }
}
