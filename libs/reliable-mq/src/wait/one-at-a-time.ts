/** Lets what has the same key run one after the other, in the order in which they came. */
export class OneAtATime {
  /** By key of what runs: who waits for it. */
  private readonly waiting = new Map<string, (() => void)[]>();

  /** @returns when it may run; undefined: now. Whoever has entered must leave */
  enter(key: string): Promise<void> | undefined {
    const line = this.waiting.get(key);
    if (line) return new Promise((resolve) => line.push(resolve));
    this.waiting.set(key, []);
    return undefined;
  }

  leave(key: string): void {
    const next = this.waiting.get(key)?.shift();
    if (next) next();
    else this.waiting.delete(key);
  }
}
