const PRUNE_ABOVE = 1_000;

/** Remembers the timers that a spec and the modules it loads set, and where. Those of Jest itself are others. */
export class TimerRegistry {
  private readonly timers = new Map<NodeJS.Timeout, Error>();

  /** Watches `setTimeout` and `setInterval` of a spec's global object. */
  watch(scope: Pick<typeof globalThis, 'setTimeout' | 'setInterval'>): void {
    // A proxy keeps the other properties, such as util.promisify's.
    scope.setTimeout = new Proxy(scope.setTimeout, {
      apply: (target, self, args: unknown[]) => this.remember(Reflect.apply(target as never, self, args)),
    });
    scope.setInterval = new Proxy(scope.setInterval, {
      apply: (target, self, args: unknown[]) => this.remember(Reflect.apply(target as never, self, args)),
    });
  }

  /** The timers that keep the process alive now, in words. */
  running(): string[] {
    this.prune();
    return [...this.timers.values()].map((origin) => `a timer set ${place(origin)}`);
  }

  private remember(timer: NodeJS.Timeout): NodeJS.Timeout {
    this.timers.set(timer, new Error());
    if (this.timers.size > PRUNE_ABOVE) this.prune();
    return timer;
  }

  private prune(): void {
    for (const timer of this.timers.keys()) if (!keepsAlive(timer)) this.timers.delete(timer);
  }
}

/** Neither fired nor cleared (Node says so in an undocumented property only), nor unreferenced. */
function keepsAlive(timer: NodeJS.Timeout): boolean {
  return timer.hasRef() && (timer as NodeJS.Timeout & { _destroyed?: boolean })._destroyed !== true;
}

function place(origin: Error): string {
  const frames = (origin.stack ?? '')
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  return frames.find((line) => !/timer-registry|node:internal/.test(line)) ?? 'somewhere';
}
