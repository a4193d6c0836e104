import { type Bench, type Benchmark, type Figure, figureOf, type Target } from '../benchmark';
import { libraryTables, pendingEvents } from '../seed';
import { spreadOf } from '../stats';
import type { WorkResult } from '../work';
import type { DrainConfig } from '../works/drain-ours';
import type { IdleConfig } from '../works/idle';

const EVENTS = 1_000_000;
const EVENTS_SMALL_HEAP = 1_000_000;
/**
 * The old generation that Node allows itself in a container of 1 GiB: half of it. Above a limit of 2 GiB V8 lets the heap grow to
 * four times what lived at the last major collection before it collects again, below to at most twice
 * (`MemoryController::MaxGrowingFactor` in V8's heap-controller.cc).
 */
const SMALL_HEAP = ['--max-old-space-size=512'];
const IDLE_SECONDS = 5;

const liveHeap = figureOf('liveHeapMb');

export const memory: Benchmark = {
  name: 'memory',
  work: `resident memory while ${EVENTS.toLocaleString('en')} pending events are drained, at most; and with the heap of a container of 1 GiB`,
  baseline: 'the same process idle',
  run: async (bench) => {
    const large = await growth(bench, EVENTS, []);
    const small = await growth(bench, EVENTS_SMALL_HEAP, SMALL_HEAP);
    return {
      figures: [
        figureOfGrowth('memory, more than idle, heap of a 1 GiB container', small, { atMost: 40 }),
        figureOfGrowth('memory, more than idle, heap of a large machine', large),
      ],
      failures: [...large.failures, ...small.failures],
      notes: [
        `${Math.round(EVENTS / large.drained.seconds).toLocaleString('en')} events/s over the whole drain`,
        `heap in use after a garbage collection: ${Math.round(liveHeap(large.drained))} MB after the drain, ${Math.round(liveHeap(large.idle))} MB idle; the rest of the difference is garbage that V8 has not collected yet`,
      ],
    };
  },
};

interface Growth {
  readonly idle: WorkResult;
  readonly drained: WorkResult;
  readonly failures: readonly string[];
}

/** @param flags for Node, of both processes */
async function growth({ lab, say }: Bench, events: number, flags: readonly string[]): Promise<Growth> {
  const service = lab.name();
  const place = { amqpUrl: lab.rabbitmq.url, service };
  const idleUrl = await lab.database(`${service}_idle`, [...libraryTables()]);
  const atRest = { ...place, databaseUrl: idleUrl, seconds: IDLE_SECONDS } satisfies IdleConfig;
  const idle = await lab.run('idle', atRest, flags);
  const databaseUrl = await lab.database(service, [...libraryTables(), ...pendingEvents(events)]);
  const sink = await lab.declareSink(service);
  await lab.settle();
  say(`draining ${events.toLocaleString('en')}`);
  const drained = await lab.run('drain-ours', { ...place, databaseUrl, count: events } satisfies DrainConfig, flags);
  const messages = await lab.messageCount(sink);
  await lab.deleteQueues(sink);
  for (const name of [service, `${service}_idle`]) await lab.dropDatabase(name);
  return { idle, drained, failures: messages === events ? [] : [`${messages} messages for ${events} events`] };
}

function figureOfGrowth(name: string, { idle, drained }: Growth, target?: Target): Figure {
  return {
    name,
    unit: 'MB',
    ours: spreadOf([drained.rssMb - idle.rssMb]),
    ...(target && { target }),
    rssMb: { ours: drained.rssMb, baseline: idle.rssMb },
  };
}
