import { type Bench, type Benchmark, compare, type Figure, figureOf, inTurns } from '../benchmark';
import { libraryTables } from '../seed';
import { percentile } from '../stats';
import type { WorkResult } from '../work';
import { HAND_INBOX } from '../works/hand-inbox';
import { ORDERS_TABLE } from '../works/hand-outbox';
import type { LatencyConfig } from '../works/latency-ours';
import { EVENT_TYPE } from '../works/order-placed';

/** The lower rate takes longer to come by as many events as a 99th percentile needs. */
const RATES = [
  { perSecond: 50, seconds: 10 },
  { perSecond: 500, seconds: 6 },
];
const WARM_UP_SECONDS = 2;
/** After the last commit, for the last event to be handled. */
const LAST_MS = 1_000;

export const latency: Benchmark = {
  name: 'latency',
  work: `commit to handler entered, ${RATES.map(({ perSecond }) => perSecond).join(' and ')} events/s, producer and consumer in processes of their own`,
  baseline:
    'hand-written, nothing safe: no event row, golevelup publish right after the commit; the consumer opens a transaction and inserts its inbox row',
  run: async (bench) => {
    const figures: Figure[] = [];
    const failures: string[] = [];
    for (const rate of RATES) {
      const { perSecond } = rate;
      bench.say(`${perSecond} events/s`);
      const { ours, hand } = await inTurns(bench, {
        hand: () => measure(bench, 'latency-by-hand', rate, failures),
        ours: () => measure(bench, 'latency-ours', rate, failures),
      });
      const name = `latency, ${perSecond} events/s`;
      figures.push(
        compare(`${name}, p50`, 'ms', ours, hand, figureOf('p50'), { atMost: 1.3 }),
        compare(`${name}, p99`, 'ms', ours, hand, figureOf('p99'), { atMost: 2 }),
      );
    }
    return { figures, failures, notes: [] };
  },
};

async function measure(
  { lab }: Bench,
  work: string,
  { perSecond, seconds }: (typeof RATES)[number],
  failures: string[],
): Promise<WorkResult> {
  const exchange = lab.name();
  const producerUrl = await lab.database(`${exchange}_producer`, [...libraryTables(), ORDERS_TABLE]);
  const consumerUrl = await lab.database(`${exchange}_consumer`, [...libraryTables(), HAND_INBOX]);
  await lab.settle();
  const config: Omit<LatencyConfig, 'role' | 'databaseUrl' | 'service'> = {
    amqpUrl: lab.rabbitmq.url,
    exchange,
    perSecond,
    count: perSecond * seconds,
    warmUp: perSecond * WARM_UP_SECONDS,
  };
  const consumer = lab.start(work, {
    ...config,
    role: 'consumer',
    databaseUrl: consumerUrl,
    service: `${exchange}-stock`,
  });
  await consumer.ready;
  const producer = await lab.run(work, {
    ...config,
    role: 'producer',
    databaseUrl: producerUrl,
    service: `${exchange}-shop`,
  });
  await new Promise((resolve) => setTimeout(resolve, LAST_MS));
  consumer.stop();
  const entered = timesOf(await consumer.result);
  const latencies: number[] = [];
  let missing = 0;
  for (const [index, [id, committedAt]] of [...timesOf(producer)].entries()) {
    const enteredAt = entered.get(id);
    if (enteredAt === undefined) missing += 1;
    else if (index >= config.warmUp) latencies.push(enteredAt - committedAt);
  }
  if (missing > 0) failures.push(`${work} at ${perSecond}/s: ${missing} events were not handled in time`);
  await lab.deleteQueues(`${exchange}-stock.${EVENT_TYPE}`, `${exchange}.by-hand`);
  for (const side of ['producer', 'consumer']) await lab.dropDatabase(`${exchange}_${side}`);
  return { ...producer, notes: {}, figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) } };
}

function timesOf({ notes }: WorkResult): Map<string, number> {
  return new Map(Object.entries((notes?.['times'] ?? {}) as Record<string, number>));
}
