const MINUTE_MS = 60_000;
/** People whose last actions are remembered. */
const MAX_ACTORS = 1000;

interface Bucket {
  left: number;
  atMs: number;
}

/** How often one person may act: a bucket that fills up within a minute. What is remembered is bounded; who acted longest ago is forgotten first. */
export class ActionRate {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly perMinute: number,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** @returns false when there were too many */
  take(actor: string): boolean {
    const atMs = this.nowMs();
    const known = this.buckets.get(actor);
    const filled = known ? known.left + ((atMs - known.atMs) / MINUTE_MS) * this.perMinute : this.perMinute;
    const left = Math.min(this.perMinute, filled);
    const isTaken = left >= 1;
    // The latest at the end.
    this.buckets.delete(actor);
    this.buckets.set(actor, { left: isTaken ? left - 1 : left, atMs });
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > MAX_ACTORS && oldest !== undefined) this.buckets.delete(oldest);
    return isTaken;
  }

  get remembered(): number {
    return this.buckets.size;
  }
}
