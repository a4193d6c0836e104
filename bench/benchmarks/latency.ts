import { type Bench, type Benchmark, compare, type Figure, figureOf, inTurns } from '../benchmark';
import { type Rate, measureLatency } from '../measure-latency';
import { libraryTables } from '../seed';
import { ORDERS_TABLE } from '../works/hand-outbox';

/** The lower rate takes longer to come by as many events as a 99th percentile needs. */
const RATES: readonly (Rate & { readonly p50: number; readonly p99: number })[] = [
  { perSecond: 50, seconds: 10, p50: 1.2, p99: 1.5 },
  { perSecond: 500, seconds: 6, p50: 1.5, p99: 2 },
];

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
        compare(`${name}, p50`, 'ms', ours, hand, figureOf('p50'), { atMost: rate.p50 }),
        compare(`${name}, p99`, 'ms', ours, hand, figureOf('p99'), { atMost: rate.p99 }),
      );
    }
    return { figures, failures, notes: [] };
  },
};

function measure(bench: Bench, work: string, rate: Rate, failures: string[]): ReturnType<typeof measureLatency> {
  const sides = {
    producer: { work, tables: [...libraryTables(), ORDERS_TABLE] },
    consumer: { work },
  };
  return measureLatency(bench, sides, rate, failures);
}
