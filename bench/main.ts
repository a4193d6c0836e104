import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { meets } from './benchmark';
import { BENCHMARKS, chosenBenchmarks } from './catalogue';
import { nodeFromNpm } from '../tools/matrix/npm-binaries';
import { Lab } from './lab';
import { parseOptions, USAGE, UsageError } from './options';
import { assertPeersInstalled, PeersNotInstalledError } from './peers/installed';
import { reportOf, type Result, surroundingsOf } from './report';

const CHECK_FAILED = 1;
const CANNOT_START = 2;
/** Other versions of Node, between runs; not committed. */
const CACHE = resolve(__dirname, '../.tmp/matrix');

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (!options) {
    process.stdout.write(USAGE);
    return 0;
  }
  const chosen = chosenBenchmarks(options);
  if (options.list) {
    const width = Math.max(...BENCHMARKS.map(({ name }) => name.length)) + 1;
    for (const { name, work, baseline, isFull, isPeers, databases = [] } of BENCHMARKS) {
      const needs =
        (isFull ? ' (--full)' : isPeers ? ' (--peers)' : '') +
        (databases.includes('mariadb') ? ' (--database mariadb)' : '');
      process.stdout.write(`${name.padEnd(width)}${work}; baseline: ${baseline}${needs}\n`);
    }
    return 0;
  }
  if (chosen.some(({ isPeers }) => isPeers)) assertPeersInstalled();
  const out = options.json ? process.stderr : process.stdout;
  const began = Date.now();
  const say = (text: string): void => {
    out.write(`${String(Math.round((Date.now() - began) / 1_000)).padStart(5)} s  ${text}\n`);
  };
  if (options.profile) mkdirSync(resolve(options.profile), { recursive: true });
  const node = options.node === undefined ? process.execPath : join(await nodeFromNpm(options.node, CACHE), 'node');
  say('starting the database and RabbitMQ');
  const lab = await Lab.open(options.database, options.profile && resolve(options.profile), node);
  const onSignal = (): void => void lab.close().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  const benchmarks: Result['benchmarks'][number][] = [];
  const [loadBefore = 0] = loadavg();
  const surroundings = surroundingsOf(node, [lab.server.version, lab.rabbitmq.version]);
  try {
    for (const { name, work, baseline, run } of chosen) {
      say(`${name}: ${work}`);
      benchmarks.push({
        name,
        work,
        baseline,
        ...(await run({ lab, options, say: (text) => say(`${name}: ${text}`) })),
      });
    }
  } finally {
    await lab.close();
  }
  const seconds = Math.round((Date.now() - began) / 1_000);
  const [loadAfter = 0] = loadavg();
  const result: Result = { surroundings, runs: options.runs, seconds, load: [loadBefore, loadAfter], benchmarks };
  const report = reportOf(result);
  if (options.report) writeFileSync(options.report, report);
  out.write(`\n${report}\n`);
  if (options.json) process.stdout.write(`${JSON.stringify(withVerdicts(result))}\n`);
  return benchmarks.some(({ failures }) => failures.length > 0) ? CHECK_FAILED : 0;
}

function withVerdicts(result: Result): unknown {
  const benchmarks = result.benchmarks.map((benchmark) => ({
    ...benchmark,
    figures: benchmark.figures.map((figure) => ({ ...figure, met: meets(figure) })),
  }));
  return { ...result, benchmarks };
}

function textOf(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n\n${USAGE}`;
  if (error instanceof PeersNotInstalledError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

main()
  .then((code) => process.exit(code))
  .catch((error: unknown) => {
    process.stderr.write(`${textOf(error)}\n`);
    process.exit(CANNOT_START);
  });
