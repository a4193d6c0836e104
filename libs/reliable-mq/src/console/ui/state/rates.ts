import type { Now, Total } from '../../api';

/** What the charts are drawn from: one per answer. */
export interface Sample {
  readonly atMs: number;
  /** Per second since the answer before; undefined: there was none, or another process answered. */
  readonly rates: Readonly<Record<Total, number>> | undefined;
  readonly pending: number;
  readonly outboxLagMs: number;
  readonly inboxLagMs: number;
}

export interface History {
  readonly samples: readonly Sample[];
  readonly last: Now | undefined;
}

export const NO_HISTORY: History = { samples: [], last: undefined };

/** Ten minutes of an answer every five seconds. */
const KEPT = 120;

/** Steps that the width of a chart has at least, so that a line grows from the right. */
const FEWEST = 12;

export function withAnswer(history: History, now: Now): History {
  if (history.last?.at === now.at) return history;
  const outboxes = now.sources.flatMap(({ outbox }) => outbox ?? []);
  const inboxes = now.sources.flatMap(({ inbox }) => inbox ?? []);
  const sample: Sample = {
    atMs: Date.parse(now.at),
    rates: history.last && ratesBetween(history.last, now),
    pending: outboxes.reduce((sum, { pending }) => sum + pending, 0),
    outboxLagMs: Math.max(0, ...outboxes.map(({ oldestOverdueMs }) => oldestOverdueMs)),
    inboxLagMs: Math.max(0, ...inboxes.map(({ oldestOverdueMs }) => oldestOverdueMs)),
  };
  return { samples: [...history.samples, sample].slice(-KEPT), last: now };
}

/** Totals only grow: less than before is another process's, or a new one's. */
function ratesBetween(before: Now, after: Now): Readonly<Record<Total, number>> | undefined {
  const seconds = (Date.parse(after.at) - Date.parse(before.at)) / 1_000;
  const names = Object.keys(after.totals) as Total[];
  if (!(seconds > 0) || names.some((name) => after.totals[name] < before.totals[name])) return undefined;
  return Object.fromEntries(
    names.map((name) => [name, (after.totals[name] - before.totals[name]) / seconds]),
  ) as Record<Total, number>;
}

/**
 * Points of a line in a box of 100 by `height`, the latest at the right; a gap where there is no value starts a new line.
 *
 * @returns one list of points per line, as SVG writes them
 */
export function linesOf(values: readonly (number | undefined)[], height: number): readonly string[] {
  const most = Math.max(...values.map((value) => value ?? 0), 0) || 1;
  const step = 100 / Math.max(FEWEST, values.length - 1);
  const left = 100 - step * (values.length - 1);
  const lines: string[][] = [[]];
  values.forEach((value, index) => {
    if (value === undefined) lines.push([]);
    else lines.at(-1)?.push(`${round(left + step * index)},${round(height - (value / most) * height)}`);
  });
  return lines.filter((points) => points.length > 0).map((points) => points.join(' '));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
