import { type Cpu, type Figure, meets, type Target } from './benchmark';
import { type Bar, chartOf } from './chart';
import { REASONS } from './reasons';
import type { Result } from './report';

/** Microseconds in a second of one core. */
const CORE_US = 1_000_000;

export interface Page {
  readonly markdown: string;
  /** By file name. */
  readonly charts: Readonly<Record<string, string>>;
}

/**
 * The page of benchmarks, of one run on each version of Node.
 *
 * @param results at least one; the same benchmarks
 */
export function pageOf(results: readonly Result[]): Page {
  const names = [...new Set(results.flatMap((result) => figuresOf(result).map(({ name }) => name)))];
  const charts: Record<string, string> = {};
  const sections = names.map((name) => {
    const found = results.flatMap((result) => {
      const figure = figuresOf(result).find((each) => each.name === name);
      return figure ? [{ node: result.surroundings.node, figure }] : [];
    });
    const file = `${slugOf(name)}.svg`;
    charts[file] = chartOf(
      name,
      found.flatMap(({ node, figure }) => barsOf(node, figure)),
    );
    return sectionOf(name, file, found);
  });
  return {
    markdown: [...introduction(results), ...perCore(results), ...sections, ...notesOf(results), ''].join('\n'),
    charts,
  };
}

interface Measured {
  readonly node: string;
  readonly figure: Figure;
}

function introduction(results: readonly Result[]): string[] {
  const [first] = results;
  if (!first) throw new Error('no result to write a page of');
  const { processor, cores, memoryGb, servers } = first.surroundings;
  const versions = results.map(({ surroundings }) => surroundings.node).join(' and ');
  return [
    '# Benchmarks',
    '',
    '<!-- Written by `npm run docs:benchmarks`. -->',
    '',
    'What recording, publishing and handling cost, beside the same work written by hand, measured in turns in one run.',
    'Run it on your machine: `npm run bench`, or `npm run bench -- --node 24` on another Node.',
    '',
    `Measured on Node ${versions}, ${servers.join(', ')}. Clients and servers share ${cores} cores (${processor}, ${memoryGb} GB).`,
    `Each figure is the median of ${first.runs} turns. A ratio is taken turn by turn; its least and most stand behind it.`,
    'The machine is shared with others: read the ratios, not the rates.',
    '',
  ];
}

/** What one core does in a second: of the application alone, and of application, database and broker together. */
function perCore(results: readonly Result[]): string[] {
  const rows = results.flatMap(({ surroundings: { node }, benchmarks }) =>
    benchmarks.flatMap(({ figures }) =>
      figures.flatMap(({ name, cpuMsPer1000: cpu }) => {
        if (!cpu?.baseline) return [];
        const cells = [cpu.ours, cpu.baseline].flatMap((each) => [rateOf(each.node), rateOf(totalOf(each))]);
        return [`| ${name} | ${node} | ${cells.join(' | ')} |`];
      }),
    ),
  );
  return [
    '## Events a second of one core',
    '',
    'From processor time, so that it holds for machines that are not full. First the application alone, then with what PostgreSQL and RabbitMQ spend.',
    '',
    '| | Node | ours: application | with servers | by hand: application | with servers |',
    '|---|---|---:|---:|---:|---:|',
    ...rows,
    '',
  ];
}

function totalOf({ node, database = 0, rabbitmq = 0 }: Cpu): number {
  return node + database + rabbitmq;
}

function rateOf(microseconds: number): string {
  return microseconds > 0 ? Math.round(CORE_US / microseconds).toLocaleString('en') : '';
}

function sectionOf(name: string, chart: string, measured: readonly Measured[]): string {
  const isMissed = measured.some(({ figure }) => meets(figure) === false);
  const target = measured[0]?.figure.target;
  const lines = [
    `## ${name}`,
    '',
    `![${name}](img/bench/${chart})`,
    '',
    '| Node | ours | by hand, or idle | ratio (least to most) |',
    '|---|---:|---:|---:|',
    ...measured.map(({ node, figure }) => rowOf(node, figure)),
    '',
  ];
  if (target)
    lines.push(`Goal: ${targetText(target)}${isMissed ? `, missed. ${REASONS[name] ?? ''}`.trimEnd() : ', met.'}`, '');
  return lines.join('\n');
}

function rowOf(node: string, { unit, ours, baseline, ratio }: Figure): string {
  const cells = [
    node,
    `${number(ours.median)} ${unit}`.trim(),
    baseline ? `${number(baseline.median)} ${unit}`.trim() : '',
    ratio ? `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} to ${ratio.max.toFixed(2)})` : '',
  ];
  return `| ${cells.join(' | ')} |`;
}

function barsOf(node: string, { unit, ours, baseline }: Figure): Bar[] {
  const text = (value: number): string => `${number(value)} ${unit}`.trim();
  const own: Bar = { label: `ours, ${node}`, value: ours.median, text: text(ours.median), isOurs: true };
  if (!baseline) return [own];
  return [own, { label: `by hand, ${node}`, value: baseline.median, text: text(baseline.median), isOurs: false }];
}

function notesOf(results: readonly Result[]): string[] {
  const notes = results.flatMap(({ surroundings: { node }, benchmarks }) =>
    benchmarks.flatMap(({ name, notes: ofBenchmark }) => ofBenchmark.map((note) => `- Node ${node}, ${name}: ${note}`)),
  );
  return notes.length > 0 ? ['## Notes', '', ...notes] : [];
}

function figuresOf({ benchmarks }: Result): readonly Figure[] {
  return benchmarks.flatMap(({ figures }) => figures);
}

function targetText({ atLeast, atMost }: Target): string {
  return atLeast === undefined ? `at most ${round(atMost ?? 0)}` : `at least ${round(atLeast)}`;
}

function round(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 2 });
}

function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}
