/** A scan from the start of the index may take one part in so many of the time. */
const SHARE = 50;
/** However long such a scan takes, the next one comes after this long, in milliseconds. */
const MAX_WAIT_MS = 300_000;

/**
 * Where a run of a job begins to read its index. Rows that were moved on or deleted leave entries behind, and a scan from the
 * start walks over all of them until vacuum removes them; where a transaction stays open for long it may not, and millions gather.
 * Then a run begins where an earlier one has been, and at the start only now and then, for what was passed over. While a scan
 * from the start costs little, there is one in every run.
 */
export class ScanStart<Position extends string | number> {
  private costMs = 0;
  private tookMs = 0;
  private fromStartAt = Number.NEGATIVE_INFINITY;

  /** @param position where to begin if scans from the start are slow and no run has been anywhere yet */
  constructor(private position: Position) {}

  /** @returns undefined: the start of the index */
  next(): Position | undefined {
    return performance.now() < this.fromStartAt ? this.position : undefined;
  }

  /** A run has been as far as this. The furthest of all counts. */
  reached(position: Position): void {
    if (position > this.position) this.position = position;
  }

  /**
   * Runs the statement with which a run from the start begins. That it is slow once may have another cause, such as waiting for a
   * connection; dead entries make it slow each time.
   */
  async fromStart<T>(statement: () => Promise<T>): Promise<T> {
    const beganAtMs = performance.now();
    let failed = true;
    try {
      const result = await statement();
      failed = false;
      return result;
    } finally {
      const tookMs = performance.now() - beganAtMs;
      this.costMs = Math.min(tookMs, this.tookMs);
      this.tookMs = tookMs;
      // It may have taken longer than a statement may: what lies beyond the dead entries must not wait until that ends.
      if (failed) this.finished();
    }
  }

  /** A run from the start has left nothing. After one that was interrupted the next begins at the start too. */
  finished(): void {
    this.fromStartAt = performance.now() + Math.min(this.costMs * SHARE, MAX_WAIT_MS);
  }
}
