/** The middle of several measurements and how far they lie apart. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws Error when there are no values */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const low = sorted[Math.floor(middle)];
  const high = sorted[Math.ceil(middle)];
  if (low === undefined || high === undefined) throw new Error('no measurements');
  return { median: (low + high) / 2, min: sorted[0] ?? low, max: sorted.at(-1) ?? high };
}

/** Of one run each: ours by the baseline of the same turn. What disturbs the machine for longer disturbs both. */
export function ratiosOf(ours: readonly number[], baseline: readonly number[]): Spread {
  return spreadOf(ours.map((value, index) => value / (baseline[index] ?? Number.NaN)));
}

/**
 * @param share 0.99: the value that 99 % do not exceed
 * @returns NaN of nothing
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
