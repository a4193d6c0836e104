import { type Benchmark, figureOf } from '../benchmark';
import { libraryTables, pendingEvents } from '../seed';
import { spreadOf } from '../stats';
import type { DrainConfig } from '../works/drain-ours';
import type { IdleConfig } from '../works/idle';

const EVENTS = 1_000_000;
const IDLE_SECONDS = 5;

const liveHeap = figureOf('liveHeapMb');

export const memory: Benchmark = {
  name: 'memory',
  work: `resident memory while ${EVENTS.toLocaleString('en')} pending events are drained, at most`,
  baseline: 'the same process idle',
  run: async ({ lab, say }) => {
    const service = lab.name();
    const place = { amqpUrl: lab.rabbitmq.url, service };
    const idleUrl = await lab.database(`${service}_idle`, [...libraryTables()]);
    const idle = await lab.run('idle', { ...place, databaseUrl: idleUrl, seconds: IDLE_SECONDS } satisfies IdleConfig);
    const databaseUrl = await lab.database(service, [...libraryTables(), ...pendingEvents(EVENTS)]);
    const sink = await lab.declareSink(service);
    await lab.settle();
    say('draining');
    const drained = await lab.run('drain-ours', { ...place, databaseUrl, count: EVENTS } satisfies DrainConfig);
    const messages = await lab.messageCount(sink);
    await lab.deleteQueues(sink);
    for (const name of [service, `${service}_idle`]) await lab.dropDatabase(name);
    return {
      figures: [
        {
          name: 'memory, more than idle',
          unit: 'MB',
          ours: spreadOf([drained.rssMb - idle.rssMb]),
          target: { atMost: 80 },
          rssMb: { ours: drained.rssMb, baseline: idle.rssMb },
        },
      ],
      failures: messages === EVENTS ? [] : [`${messages} messages for ${EVENTS} events`],
      notes: [
        `${Math.round(EVENTS / drained.seconds).toLocaleString('en')} events/s over the whole drain`,
        `heap in use after a garbage collection: ${Math.round(liveHeap(drained))} MB after the drain, ${Math.round(liveHeap(idle))} MB idle; the rest of the difference is garbage that V8 has not collected yet`,
      ],
    };
  },
};
