import type { Lab } from './lab';
import type { BenchOptions, DatabaseKind } from './options';
import { ratiosOf, type Spread, spreadOf } from './stats';
import type { ServersCpu, WorkResult } from './work';

/** One row of the result. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly ours: Spread;
  /** Undefined: there is nothing to compare with. */
  readonly baseline?: Spread;
  /** Ours by the baseline, turn by turn. */
  readonly ratio?: Spread;
  readonly target?: Target;
  readonly cpuMsPer1000?: { readonly ours: Cpu; readonly baseline?: Cpu };
  readonly rssMb?: { readonly ours: number; readonly baseline?: number };
}

/** Milliseconds of processor time: of the measured process, and of the servers where the system tells. */
export interface Cpu {
  readonly node: number;
  readonly database?: number;
  readonly rabbitmq?: number;
}

/** What the ratio (or without a baseline the figure itself) should be. */
export interface Target {
  readonly atLeast?: number;
  readonly atMost?: number;
}

export interface Findings {
  readonly figures: readonly Figure[];
  /** What must not be: lost or doubled events. */
  readonly failures: readonly string[];
  /** Whatever else is worth reading, one line each. */
  readonly notes: readonly string[];
}

export interface Bench {
  readonly lab: Lab;
  readonly options: BenchOptions;
  readonly say: (text: string) => void;
}

export interface Benchmark {
  readonly name: string;
  /** What is done. */
  readonly work: string;
  /** What it is compared with. */
  readonly baseline: string;
  /** Runs on these. @default PostgreSQL alone */
  readonly databases?: readonly DatabaseKind[];
  /** Takes long: only with --full, or by name. */
  readonly isFull?: boolean;
  /** Needs the packages in `peers/`: only with --peers, or by name. */
  readonly isPeers?: boolean;
  readonly run: (bench: Bench) => Promise<Findings>;
}

/** Measures the sides in turns, each as often; every second turn the other way round. */
export async function inTurns<Sides extends Readonly<Record<string, (() => Promise<WorkResult>) | undefined>>>(
  { options, say }: Bench,
  sides: Sides,
): Promise<{ [Side in keyof Sides]: WorkResult[] }> {
  const measured = Object.entries(sides).flatMap(([name, measure]) =>
    measure ? [{ name, measure, results: [] as WorkResult[] }] : [],
  );
  for (let turn = 1; turn <= options.runs; turn += 1) {
    for (const { name, measure, results } of turn % 2 === 1 ? measured : measured.toReversed()) {
      const result = await measure();
      results.push(result);
      say(
        `turn ${turn}: ${name} ${Math.round(perSecond(result))}/s, ${Math.round(cpuMsPer1000(result))} ms CPU per 1,000`,
      );
    }
  }
  return Object.fromEntries(measured.map(({ name, results }) => [name, results])) as {
    [Side in keyof Sides]: WorkResult[];
  };
}

export function perSecond({ count, seconds }: WorkResult): number {
  return count / seconds;
}

export function cpuMsPer1000({ count, cpuMs }: WorkResult): number {
  return (cpuMs / count) * 1_000;
}

/** Compares one figure of both sides. */
export function compare(
  name: string,
  unit: string,
  ours: readonly WorkResult[],
  baseline: readonly WorkResult[],
  figure: (result: WorkResult) => number,
  target?: Target,
): Figure {
  const a = ours.map(figure);
  const b = baseline.map(figure);
  return { name, unit, ours: spreadOf(a), baseline: spreadOf(b), ratio: ratiosOf(a, b), ...(target && { target }) };
}

/** Compares throughput, with what it cost. */
export function compareThroughput(
  name: string,
  ours: readonly WorkResult[],
  baseline: readonly WorkResult[],
  target?: Target,
): Figure {
  const middle = (results: readonly WorkResult[], figure: (result: WorkResult) => number): number =>
    spreadOf(results.map(figure)).median;
  return {
    ...compare(name, 'per s', ours, baseline, perSecond, target),
    cpuMsPer1000: { ours: cpuOf(ours), baseline: cpuOf(baseline) },
    rssMb: { ours: middle(ours, ({ rssMb }) => rssMb), baseline: middle(baseline, ({ rssMb }) => rssMb) },
  };
}

/** Compares what one event costs the measured process: microseconds of processor time, in all its threads. */
export function compareNodeTime(
  name: string,
  ours: readonly WorkResult[],
  baseline: readonly WorkResult[],
  target?: Target,
): Figure {
  return compare(name, 'µs', ours, baseline, cpuMsPer1000, target);
}

/** Medians per 1,000. */
function cpuOf(results: readonly WorkResult[]): Cpu {
  const node = spreadOf(results.map(cpuMsPer1000)).median;
  const servers = results.flatMap(({ serversCpuMs, count }) => (serversCpuMs ? [{ serversCpuMs, count }] : []));
  if (servers.length === 0) return { node };
  const middle = (server: keyof ServersCpu): number =>
    spreadOf(servers.map(({ serversCpuMs, count }) => (serversCpuMs[server] / count) * 1_000)).median;
  return { node, database: middle('database'), rabbitmq: middle('rabbitmq') };
}

/** @returns undefined without a target */
export function meets({ target, ratio, ours }: Figure): boolean | undefined {
  if (!target) return undefined;
  const value = (ratio ?? ours).median;
  return value >= (target.atLeast ?? -Infinity) && value <= (target.atMost ?? Infinity);
}

/** A figure that a work must have reported. */
export function figureOf(name: string): (result: WorkResult) => number {
  return ({ figures }) => {
    const value = figures?.[name];
    if (value === undefined) throw new Error(`The work reported no figure "${name}".`);
    return value;
  };
}

/** Of works that report `publishedMeanwhile`: how much of what they recorded, warm-up included, was published by then, at least. */
export function publishedShare(results: readonly WorkResult[], warmUp: number): string {
  const share = Math.min(...results.map((result) => figureOf('publishedMeanwhile')(result) / (result.count + warmUp)));
  return `${Math.round(share * 100)} %`;
}
