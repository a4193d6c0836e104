import { type Benchmark, compare, compareThroughput, figureOf, inTurns, publishedShare } from '../benchmark';
import { HAND_OUTBOX, ORDERS_TABLE } from '../works/hand-outbox';
import type { RecordConfig } from '../works/record-ours';

const CLIENTS = 16;
const TRANSACTIONS = 10_000;
const WARM_UP = 2_000;

export const record: Benchmark = {
  name: 'record',
  work: `${CLIENTS} clients, one order row and one event per transaction, the publisher running`,
  baseline:
    'the same transaction with a hand-written INSERT of the event in plain pg, and nothing else; that with a hand-written relay beside it; that with TypeORM',
  run: async (bench) => {
    const { lab } = bench;
    const failures: string[] = [];
    const measure = async (work: string): ReturnType<typeof lab.run> => {
      const name = lab.name();
      const databaseUrl = await lab.database(name, [ORDERS_TABLE, ...HAND_OUTBOX]);
      const sink = await lab.declareSink(name);
      await lab.settle();
      const result = await lab.run(work, {
        databaseUrl,
        amqpUrl: lab.rabbitmq.url,
        service: name,
        clients: CLIENTS,
        transactions: TRANSACTIONS,
        warmUp: WARM_UP,
      } satisfies RecordConfig);
      const messages = await lab.messageCount(sink);
      if (messages > TRANSACTIONS + WARM_UP)
        failures.push(`${work} published ${messages} messages for ${TRANSACTIONS + WARM_UP} events`);
      await lab.deleteQueues(sink);
      await lab.dropDatabase(name);
      return result;
    };
    const { ours, hand, relay, typeorm } = await inTurns(bench, {
      hand: () => measure('record-by-hand'),
      ours: () => measure('record-ours'),
      relay: () => measure('record-relay'),
      typeorm: () => measure('record-typeorm'),
    });
    return {
      figures: [
        compareThroughput('record', ours, hand, { atLeast: 0.85 }),
        compare('record, p99', 'ms', ours, hand, figureOf('p99'), { atMost: 1.3 }),
        compareThroughput('record, by hand with a relay beside it as baseline', ours, relay),
        compareThroughput('record, by hand in TypeORM, nothing published, as baseline', ours, typeorm),
      ],
      failures,
      notes: [
        `published while it was recorded, at least: ${publishedShare(ours, WARM_UP)} of our events, ${publishedShare(relay, WARM_UP)} by the hand-written relay`,
      ],
    };
  },
};
