import { type Bench, type Benchmark, compareNodeTime, compareThroughput, inTurns } from '../benchmark';
import type { WorkResult } from '../work';
import type { ConsumeConfig } from '../works/consume-ours';
import { EVENT_TYPE } from '../works/order-placed';

const MESSAGES = 50_000;
const CONCURRENCY = 20;
const BATCH = 100;

export const consume: Benchmark = {
  name: 'consume',
  databases: ['postgres', 'mariadb'],
  work: `${MESSAGES.toLocaleString('en')} messages, a handler with one UPDATE, ${CONCURRENCY} at once, inbox and receipts; and in batches of ${BATCH} with one UPDATE each`,
  baseline:
    'by hand: transaction, inbox insert, UPDATE, commit, ack, as many at once: in the same tools (TypeORM, amqp-connection-manager), and in plain pg and amqplib',
  run: async (bench) => {
    const failures: string[] = [];
    // Written for PostgreSQL alone, as the handler of batches.
    const isPostgres = bench.lab.server.kind === 'postgres';
    const { ours, sameTools, hand, batches } = await inTurns(bench, {
      ...(isPostgres && { sameTools: () => measure(bench, 'consume-same-tools', 'inbox', failures) }),
      ours: () => measure(bench, 'consume-ours', 'reliable_mq_inbox', failures),
      hand: () => measure(bench, 'consume-by-hand', 'inbox', failures),
      ...(isPostgres && {
        batches: () =>
          measure(bench, 'consume-ours', 'reliable_mq_inbox', failures, { batchSize: BATCH, concurrency: 2 }),
      }),
    });
    return {
      figures: [
        ...(sameTools
          ? [
              compareThroughput('consume, same tools by hand', ours, sameTools, { atLeast: 0.9 }),
              compareNodeTime('consume, Node per event, same tools by hand', ours, sameTools, { atMost: 1.3 }),
            ]
          : []),
        compareThroughput(`consume, plain ${isPostgres ? 'pg' : 'mysql2'} by hand`, ours, hand, { atLeast: 0.8 }),
        ...(batches
          ? [compareThroughput('consume in batches, our single handling', batches, ours, { atLeast: 3 })]
          : []),
      ],
      failures,
      notes: [],
    };
  },
};

async function measure(
  { lab }: Bench,
  work: string,
  inbox: string,
  failures: string[],
  choices: Partial<Pick<ConsumeConfig, 'batchSize' | 'concurrency'>> = {},
): Promise<WorkResult> {
  const service = lab.name();
  const databaseUrl = await lab.database(service, [...lab.seed.library(), lab.seed.handInbox, ...lab.seed.stock]);
  const config: ConsumeConfig = {
    databaseUrl,
    amqpUrl: lab.rabbitmq.url,
    service,
    count: MESSAGES,
    concurrency: CONCURRENCY,
    ...choices,
  };
  const queue = `${service}.${EVENT_TYPE}`;
  await lab.run('consume-ours', { ...config, count: 0 }); // declares exchange, queue and binding
  await lab.onChannel((channel) => channel.assertQueue(`${service}.receipts-sink`, { durable: true }));
  await lab.run('preload', config);
  await lab.settle();
  const result = await lab.run(work, config);
  const [taken] = await lab.sql<{ taken: string; handled: string }>(databaseUrl, [
    `SELECT (SELECT count(*) FROM ${inbox}) AS handled, (SELECT sum(1000000 - quantity) FROM stock) AS taken`,
  ]);
  let expected = 0;
  for (let number = 0; number < MESSAGES; number += 1) expected += 1 + (number % 7);
  if (Number(taken?.handled) !== MESSAGES || Number(taken?.taken) !== expected)
    failures.push(
      `${work} handled ${taken?.handled} messages and took ${taken?.taken}, not ${MESSAGES} and ${expected}`,
    );
  const queues = (await lab.rabbitmq.listQueues()).map(({ name }) => name);
  await lab.deleteQueues(...queues.filter((name) => name === queue || name.startsWith(`${service}.`)));
  await lab.dropDatabase(service);
  return result;
}
