import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { type Benchmark, type Cpu, type Figure, type Findings, meets, type Target } from './benchmark';
import type { Spread } from './stats';

/** Where and with what was measured. */
export interface Surroundings {
  readonly commit: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly node: string;
  readonly servers: readonly string[];
}

export interface Result {
  readonly surroundings: Surroundings;
  readonly runs: number;
  readonly seconds: number;
  /** Of the machine, over the last minute: before and after. */
  readonly load: readonly [before: number, after: number];
  readonly benchmarks: readonly (Findings & Pick<Benchmark, 'name' | 'work' | 'baseline'>)[];
}

/** @param node of the measured processes */
export function surroundingsOf(node: string, servers: readonly string[]): Surroundings {
  return {
    commit: commit(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    node: execFileSync(node, ['--version'], { encoding: 'utf8' }).trim(),
    servers,
  };
}

function commit(): string {
  try {
    const git = (...args: string[]): string => execFileSync('git', args, { encoding: 'utf8' }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '-uno') === '' ? '' : ' with changes');
  } catch {
    return 'unknown';
  }
}

/** The result as Markdown. */
export function reportOf({ surroundings, runs, load, benchmarks }: Result): string {
  const { processor, cores, memoryGb, node, servers } = surroundings;
  const figures = benchmarks.flatMap(({ figures }) => figures);
  return [
    '| measured | ours | baseline | ratio (min to max) | must reach | CPU per 1,000 in ms: Node, database, RabbitMQ | memory, ours / baseline |',
    '|---|---:|---:|---:|---:|---:|---:|',
    ...figures.map(rowOf),
    '',
    ...benchmarks.flatMap(({ name, notes }) => notes.map((note) => `- ${name}: ${note}`)),
    ...benchmarks.flatMap(({ name, failures }) => failures.map((failure) => `- **${name}: ${failure}**`)),
    '',
    `Commit ${surroundings.commit}; medians of ${runs} turns; servers and clients on the same ${cores} cores (${processor}, ${memoryGb} GB), Node ${node}, ${servers.join(', ')}; load average ${load.map((each) => each.toFixed(1)).join(' to ')}.`,
    '',
  ].join('\n');
}

function rowOf(figure: Figure): string {
  const { name, unit, ours, baseline, ratio, target, cpuMsPer1000: cpu, rssMb: rss } = figure;
  const reached = meets(figure);
  return `| ${[
    name,
    `${number(ours.median)} ${unit}`,
    baseline ? `${number(baseline.median)} ${unit}` : '',
    ratio ? ratioText(ratio) : '',
    target ? `${targetText(target)}${reached ? '' : ' **missed**'}` : '',
    cpu ? [cpu.ours, ...(cpu.baseline ? [cpu.baseline] : [])].map(cpuText).join(' / ') : '',
    rss ? pair(rss.ours, rss.baseline, 'MB') : '',
  ].join(' | ')} |`;
}

function ratioText({ median, min, max }: Spread): string {
  return `**${median.toFixed(2)}** (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

function targetText({ atLeast, atMost }: Target): string {
  return atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
}

function cpuText({ node, database, rabbitmq }: Cpu): string {
  return [node, database, rabbitmq]
    .filter((ms) => ms !== undefined)
    .map(number)
    .join(' + ');
}

function pair(ours: number, baseline: number | undefined, unit: string): string {
  return baseline === undefined ? `${number(ours)} ${unit}` : `${number(ours)} / ${number(baseline)} ${unit}`;
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: 0 });
}
