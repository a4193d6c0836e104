import { readFileSync } from 'node:fs';
import { monotonicMs, waitUntil } from './clock';
import type { Instance } from './instance';
import type { Landscape } from './landscape';
import { initialStock, Load, type OrderRequest } from './load';
import type { ChaosOptions } from './options';
import type { Progress } from './progress';
import { putStock } from './put-stock';

const WARM_UP_SECONDS = 20;
const BASELINE_SECONDS = 20;
const DRAINED_WITHIN_MS = 600_000;
const MAX_GROWTH_MB = 100;
const MAX_SLOWDOWN = 1.5;
/** Medians of a few milliseconds differ by as much from one minute to the next. */
const LATENCY_NOISE_MS = 3;

interface Latency {
  readonly median: number;
  readonly p95: number;
}

export interface MemoryVerdict {
  readonly scenario: 'memory';
  readonly rate: number;
  readonly outageSeconds: number;
  readonly accepted: number;
  /** While the broker was gone. */
  readonly notAccepted: number;
  readonly rssMb: { readonly before: number; readonly peak: number };
  readonly latencyMs: { readonly before: Latency; readonly during: Latency };
  /** Events that waited when the broker came back. */
  readonly backlog: number;
  readonly secondsToDrain: number | undefined;
  readonly violations: readonly string[];
}

/** Orders come in while the broker is gone: memory and latency stay, and the backlog drains when it is back. */
export async function runMemory(
  options: ChaosOptions,
  landscape: Landscape,
  progress: Progress,
): Promise<MemoryVerdict> {
  const { rate, outageSeconds } = options;
  const orders = rate * (WARM_UP_SECONDS + BASELINE_SECONDS + outageSeconds);
  await putStock(landscape, initialStock(orders));
  const services = landscape.of('order');
  const load = new Load(services, options.seed);
  let peak = 0;
  let waiting = 0;
  progress.watch(() => {
    peak = Math.max(peak, rssMb(services));
    return `orders ${load.accepted}  memory ${rssMb(services)} MB  events waiting ${waiting}`;
  });
  await load.runFor(WARM_UP_SECONDS, rate);
  const baselineFrom = monotonicMs();
  peak = 0;
  await load.runFor(BASELINE_SECONDS, rate);
  const before = peak;
  progress.say('stopping the broker');
  await Promise.all(landscape.nodes.map((node) => node.stop()));
  const outageFrom = monotonicMs();
  peak = 0;
  await load.runFor(outageSeconds, rate);
  const highest = peak;
  const outageTo = monotonicMs();
  const backlog = await waitingEvents(landscape);
  waiting = backlog;
  progress.say(`starting the broker; ${backlog} events wait`);
  await Promise.all(landscape.nodes.map((node) => node.start()));
  const back = monotonicMs();
  const drained = await waitUntil(async () => (waiting = await waitingEvents(landscape)) === 0, DRAINED_WITHIN_MS, 500);
  const secondsToDrain = drained ? Math.round((monotonicMs() - back) / 100) / 10 : undefined;
  progress.stop();
  load.close();
  const latencyMs = {
    before: latencyOf(load.requests, baselineFrom, outageFrom),
    during: latencyOf(load.requests, outageFrom, outageTo),
  };
  const notAccepted = load.requests.filter(
    ({ answer, sentAt }) => answer !== 'accepted' && sentAt >= outageFrom,
  ).length;
  const violations = [
    ...(highest - before > MAX_GROWTH_MB ? [`memory grew by ${highest - before} MB, more than ${MAX_GROWTH_MB}`] : []),
    ...(latencyMs.during.median > latencyMs.before.median * MAX_SLOWDOWN + LATENCY_NOISE_MS
      ? [`orders took ${latencyMs.during.median} ms, more than ${MAX_SLOWDOWN} times ${latencyMs.before.median} ms`]
      : []),
    ...(drained ? [] : [`${waiting} events still wait ${DRAINED_WITHIN_MS / 1_000} s after the broker's start`]),
    ...(notAccepted > 0 ? [`${notAccepted} orders were not accepted while the broker was gone`] : []),
  ];
  const { accepted } = load;
  return {
    scenario: 'memory',
    rate,
    outageSeconds,
    accepted,
    notAccepted,
    rssMb: { before, peak: highest },
    latencyMs,
    backlog,
    secondsToDrain,
    violations,
  };
}

async function waitingEvents(landscape: Landscape): Promise<number> {
  const [row] = await landscape.query<{ count: number }>(
    'order',
    `SELECT count(*) AS count FROM reliable_mq_outbox WHERE status IN ('pending', 'published')`,
  );
  return row?.count ?? 0;
}

/** Of the largest, in megabytes. */
function rssMb(instances: readonly Instance[]): number {
  return Math.round(Math.max(0, ...instances.map(({ pid }) => (pid === undefined ? 0 : residentKb(pid)))) / 1_024);
}

function residentKb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function latencyOf(requests: readonly OrderRequest[], from: number, to: number): Latency {
  const sorted = requests
    .filter(({ sentAt, answer }) => sentAt >= from && sentAt < to && answer === 'accepted')
    .map(({ latencyMs }) => latencyMs ?? 0)
    .sort((a, b) => a - b);
  const at = (share: number): number => Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
  return { median: at(0.5), p95: at(0.95) };
}
