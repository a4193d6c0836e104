/** Lets what has the same key run one after the other. */
export class OneAtATime {
  private readonly running = new Map<string, Promise<unknown>>();

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    for (let same = this.running.get(key); same; same = this.running.get(key)) await same.catch(() => undefined);
    const running = work();
    this.running.set(key, running);
    try {
      return await running;
    } finally {
      if (this.running.get(key) === running) this.running.delete(key);
    }
  }
}
