import { type Given, UsageError } from './command';

export const HOUR_MS = 3_600_000;

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: HOUR_MS, d: 24 * HOUR_MS };

/**
 * `--since`: a moment, or how long ago.
 * @throws UsageError
 */
export function sinceOf(given: Given): Date | undefined {
  const text = given.text('since');
  if (text === undefined) return undefined;
  const [, number, unit = ''] = /^(\d+)(m|h|d)$/.exec(text) ?? [];
  if (number !== undefined) return ago(Number(number) * (UNITS_MS[unit] ?? 0));
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new UsageError(`--since cannot be "${text}": 2026-11-28T09:00Z, or 90m, 6h, 3d`);
  return new Date(at);
}

export function ago(ms: number): Date {
  return new Date(Date.now() - ms);
}
