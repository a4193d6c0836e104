import {
  type Benchmark,
  compare,
  compareNodeTime,
  compareThroughput,
  figureOf,
  inTurns,
  publishedShare,
} from '../benchmark';
import type { RecordConfig } from '../works/record-ours';

const CLIENTS = 16;
const TRANSACTIONS = 10_000;
const WARM_UP = 2_000;

export const record: Benchmark = {
  name: 'record',
  databases: ['postgres', 'mariadb'],
  work: `${CLIENTS} clients, one order row and one event per transaction, the publisher running`,
  baseline:
    'by hand, published by a relay beside it: in the same tools (TypeORM, amqp-connection-manager), and in plain pg and amqplib; and plain pg that publishes nothing',
  run: async (bench) => {
    const { lab } = bench;
    const failures: string[] = [];
    const measure = async (work: string): ReturnType<typeof lab.run> => {
      const name = lab.name();
      const databaseUrl = await lab.database(name, [lab.seed.orders, ...lab.seed.handOutbox]);
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
    // Written for PostgreSQL alone.
    const isPostgres = lab.server.kind === 'postgres';
    const plain = isPostgres ? 'plain pg' : 'plain mysql2';
    const { ours, sameTools, relay, hand } = await inTurns(bench, {
      ...(isPostgres && { sameTools: () => measure('record-same-tools') }),
      ours: () => measure('record-ours'),
      relay: () => measure('record-relay'),
      hand: () => measure('record-by-hand'),
    });
    return {
      figures: [
        ...(sameTools
          ? [
              compareThroughput('record, same tools by hand', ours, sameTools, { atLeast: 0.9 }),
              compareNodeTime('record, Node per event, same tools by hand', ours, sameTools, { atMost: 1.3 }),
            ]
          : []),
        compareThroughput(`record, ${plain} by hand`, ours, relay, { atLeast: 0.85 }),
        compare(`record, ${plain} by hand, p99`, 'ms', ours, relay, figureOf('p99')),
        compareThroughput(`record, ${plain} by hand, nothing published`, ours, hand),
      ],
      failures,
      notes: [
        `published while it was recorded, at least: ${publishedShare(ours, WARM_UP)} of our events, ${sameTools ? `${publishedShare(sameTools, WARM_UP)} by the relay in the same tools, ` : ''}${publishedShare(relay, WARM_UP)} by the plain one`,
      ],
    };
  },
};
