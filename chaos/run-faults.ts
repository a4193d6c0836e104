import { audit, type Violation } from './audit/audit';
import { findRepeatedCompensations } from './audit/compensations';
import { findHotLoops } from './audit/hot-loops';
import { takeSnapshot } from './audit/snapshot';
import { linesOf, timelineOf } from './audit/timeline';
import { monotonicMs } from './clock';
import { costsOf } from './costs';
import { FAULT_SKUS } from './faults/handlers';
import { Injector } from './inject';
import type { Landscape } from './landscape';
import { initialStock, Load } from './load';
import { putStock } from './put-stock';
import type { ChaosOptions } from './options';
import type { Plan } from './plan';
import type { Progress } from './progress';
import { judge, type Verdict } from './verdict';
import { untilQuiet, Watch } from './watch';

const QUIET_WITHIN_MS = 240_000;
const FAULT_SKU_STOCK = 1_000_000;
const MAX_TIMELINES = 5;

/** Load and faults at once, then quiet, then the audit. */
export async function runFaults(
  options: ChaosOptions,
  plan: Plan,
  landscape: Landscape,
  progress: Progress,
): Promise<Verdict> {
  const began = monotonicMs();
  const stock = new Map([...initialStock(options.orders), ...FAULT_SKUS.map((sku) => [sku, FAULT_SKU_STOCK] as const)]);
  await putStock(landscape, stock);
  const load = new Load(landscape.of('order'), options.seed);
  const watch = new Watch(landscape);
  const injector = new Injector(plan, { landscape, load, options });
  const seconds = Math.max(options.orders / options.rate, plan.seconds);
  let restless: readonly string[] = [];
  progress.watch(() => {
    const over = injector.injected.filter(({ endedAt }) => endedAt !== undefined).length;
    const now = restless.length > 0 ? restless.join(', ') : injector.current.join(', ');
    return `orders ${load.accepted}/${options.orders} (refused ${load.refused}, unknown ${load.unknown})  late ${watch.late}  faults ${over}/${plan.faults.length}  ${now}`;
  });
  watch.start();
  let injecting = true;
  const injection = injector.run(seconds).finally(() => (injecting = false));
  await Promise.all([injection, load.run(options.orders, options.orders / seconds, () => injecting)]);
  const over = monotonicMs();
  progress.say('the faults are over; waiting until all is quiet');
  const left = await untilQuiet(landscape, QUIET_WITHIN_MS, (look) => (restless = look));
  const secondsToQuiet = Math.round((monotonicMs() - over) / 100) / 10;
  await watch.stop();
  load.close();
  progress.stop();
  const snapshot = await takeSnapshot(landscape, load.requests, stock);
  const { instances } = landscape;
  const violations: Violation[] = [
    ...audit(snapshot),
    ...(await findRepeatedCompensations(instances.map(({ traceFile }) => linesOf(traceFile)))),
    ...(await findHotLoops(instances)),
  ];
  if (left.length > 0)
    violations.push({ rule: 'not quiet in time', message: `after ${QUIET_WITHIN_MS / 1_000} s: ${left.join(', ')}` });
  await explain(landscape, violations, progress);
  return judge({
    options,
    plan,
    servers: [landscape.server.version, landscape.node().version],
    snapshot,
    violations,
    injected: injector.injected,
    costs: await costsOf(injector.injected, watch.samples, instances),
    secondsToQuiet,
    seconds: Math.round((monotonicMs() - began) / 1_000),
  });
}

async function explain(landscape: Landscape, violations: readonly Violation[], progress: Progress): Promise<void> {
  const told = new Set<string>();
  for (const violation of violations) {
    progress.say(`VIOLATION  ${violation.rule}: ${violation.message}`);
    const key = violation.orderId ?? violation.eventId;
    if (key === undefined || told.has(key) || told.size >= MAX_TIMELINES) continue;
    told.add(key);
    for (const line of await timelineOf(landscape, violation)) progress.say(`    ${line}`);
  }
}
