import { type Bench, type Benchmark, compareThroughput, inTurns } from '../benchmark';
import { libraryTables } from '../seed';
import type { WorkResult } from '../work';
import type { ConsumeConfig } from '../works/consume-ours';
import { HAND_INBOX } from '../works/hand-inbox';
import { EVENT_TYPE } from '../works/order-placed';
import { STOCK } from '../works/stock';

const MESSAGES = 50_000;
const CONCURRENCY = 20;
const BATCH_SIZE = 100;

export const consume: Benchmark = {
  name: 'consume',
  work: `${MESSAGES.toLocaleString('en')} messages, a handler with one UPDATE, ${CONCURRENCY} at once, inbox and receipts`,
  baseline: 'hand-written: transaction, inbox insert, UPDATE, commit, ack, as many at once',
  run: async (bench) => {
    const failures: string[] = [];
    const { ours, batches, hand } = await inTurns(bench, {
      hand: () => measure(bench, 'consume-by-hand', 'inbox', failures),
      ours: () => measure(bench, 'consume-ours', 'reliable_mq_inbox', failures),
      batches: () =>
        measure(bench, 'consume-ours', 'reliable_mq_inbox', failures, { batchSize: BATCH_SIZE, concurrency: 2 }),
    });
    return {
      figures: [
        compareThroughput('consume', ours, hand, { atLeast: 0.9 }),
        compareThroughput(`consume in batches of ${BATCH_SIZE}`, batches, ours, { atLeast: 3 }),
      ],
      failures,
      notes: [`consume in batches of ${BATCH_SIZE}: one UPDATE for each batch, against one event at a time`],
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
  const databaseUrl = await lab.database(service, [...libraryTables(), HAND_INBOX, ...STOCK]);
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
  const [taken] = await lab.sql<{ taken: number; rows: number }>(databaseUrl, [
    `SELECT (SELECT count(*)::int FROM ${inbox}) AS rows, (SELECT sum(1000000 - quantity)::int FROM stock) AS taken`,
  ]);
  let expected = 0;
  for (let number = 0; number < MESSAGES; number += 1) expected += 1 + (number % 7);
  if (taken?.rows !== MESSAGES || taken.taken !== expected)
    failures.push(`${work} handled ${taken?.rows} messages and took ${taken?.taken}, not ${MESSAGES} and ${expected}`);
  await lab.deleteQueues(queue, `${service}.receipts-sink`, `${service}.parked`, `${service}.receipts`);
  await lab.dropDatabase(service);
  return result;
}
