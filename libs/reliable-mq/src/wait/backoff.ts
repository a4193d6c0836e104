/** Exponential backoff: `initialMs · 2^(attempt-1)`, at most `maxMs`, spread by `jitter`. */
export interface Backoff {
  /** Delay after the first failed attempt, in milliseconds. */
  readonly initialMs: number;
  /** Longest delay, in milliseconds. */
  readonly maxMs: number;
  /** Share of the delay, 0 to 1, that is random: 0.5 gives delays between 50 % and 100 % of the computed one. */
  readonly jitter: number;
}

/**
 * The delay before the next attempt, in milliseconds.
 * @param attempt number of the attempt that has just failed, from 1
 * @param random a number in [0, 1)
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number = Math.random()): number {
  const exponential = Math.min(backoff.maxMs, backoff.initialMs * 2 ** Math.min(attempt - 1, 40));
  return Math.round(exponential * (1 - backoff.jitter * random));
}

/** The longest time that `attempts` attempts and the delays between them can take, in milliseconds. */
export function backoffHorizonMs(backoff: Backoff, attempts: number): number {
  let total = 0;
  for (let attempt = 1; attempt < attempts; attempt += 1) total += backoffMs(backoff, attempt, 0);
  return total;
}
