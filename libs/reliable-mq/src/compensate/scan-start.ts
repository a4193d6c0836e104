/** A scan from the start of the index may take one part in so many of the time. */
const SHARE = 50;
/** However long such a scan takes, the next one comes after this long, in milliseconds. */
const MAX_WAIT_MS = 300_000;

/**
 * Where a job begins to read its index. Rows that were moved on or deleted leave entries behind, and a scan from the start walks
 * over all of them until vacuum removes them; where a transaction stays open for long it may not, and millions gather. Then a run
 * begins where an earlier one has been, and at the start only now and then, for what was passed over: rows that others held, and
 * those whose transaction took long to commit. While a scan from the start costs little, every run is one.
 */
export class ScanStart<Position extends string | number> {
  private position: Position | undefined;
  private lastWholeMs = 0;
  private wholeAgainAt = Number.NEGATIVE_INFINITY;

  /** @returns undefined: the start of the index */
  next(): Position | undefined {
    return performance.now() < this.wholeAgainAt ? this.position : undefined;
  }

  /** What lies before this position has been looked at. */
  reached(position: Position): void {
    if (this.position === undefined || position > this.position) this.position = position;
  }

  /** A statement that began at the start of the index took so long. One alone may have waited for something else: dead entries slow down each. */
  tookFromStart(tookMs: number): void {
    const costMs = Math.min(tookMs, this.lastWholeMs);
    this.lastWholeMs = tookMs;
    this.wholeAgainAt = performance.now() + Math.min(costMs * SHARE, MAX_WAIT_MS);
  }
}
