import { type Bench, type Benchmark, compare, inTurns, perSecond } from '../benchmark';
import { libraryTables, pendingEvents } from '../seed';
import type { WorkResult } from '../work';
import type { DrainConfig } from '../works/drain-ours';

const EVENTS = 100_000;
/** So many events are left to the first process to find while the others start: nothing. */
const UNTIL_DRAINED_MS = 20;

export const scaleOut: Benchmark = {
  name: 'scale-out',
  work: `a backlog of ${EVENTS.toLocaleString('en')} pending events, 1, 2 and 4 processes`,
  baseline: '1 process',
  run: async (bench) => {
    const failures: string[] = [];
    const { one, two, four } = await inTurns(bench, {
      one: () => drainWith(bench, 1, failures),
      two: () => drainWith(bench, 2, failures),
      four: () => drainWith(bench, 4, failures),
    });
    return {
      figures: [
        compare('scale-out, 2 processes', 'per s', two, one, perSecond, { atLeast: 0.95 }),
        compare('scale-out, 4 processes', 'per s', four, one, perSecond, { atLeast: 0.95 }),
      ],
      failures,
      notes: [],
    };
  },
};

/** The processes are up and idle before the backlog is due; they are told of it by their next run of the compensation task. */
async function drainWith({ lab }: Bench, processes: number, failures: string[]): Promise<WorkResult> {
  const service = lab.name();
  const databaseUrl = await lab.copiedDatabase(service, [...libraryTables(), ...pendingEvents(EVENTS, `'infinity'`)]);
  const sink = await lab.declareSink(service);
  const config: DrainConfig = {
    databaseUrl,
    amqpUrl: lab.rabbitmq.url,
    service,
    count: EVENTS,
    intervalMs: 200,
    waitsForBacklog: true,
  };
  const running = Array.from({ length: processes }, () => lab.start('drain-ours', config));
  await Promise.all(running.map(({ ready }) => ready));
  await lab.settle();
  const [{ began } = { began: 0 }] = await lab.sql<{ began: number }>(databaseUrl, [
    `UPDATE reliable_mq_outbox SET due_at = now() + (1 + random()) * interval '1 microsecond'`,
    'SELECT extract(epoch FROM clock_timestamp())::float8 AS began',
  ]);
  for (;;) {
    const [left] = await lab.sql(databaseUrl, [`SELECT FROM reliable_mq_outbox WHERE status = 'pending' LIMIT 1`]);
    if (!left) break;
    await new Promise((resolve) => setTimeout(resolve, UNTIL_DRAINED_MS));
  }
  const [{ ended } = { ended: 0 }] = await lab.sql<{ ended: number }>(databaseUrl, [
    'SELECT extract(epoch FROM max(published_at))::float8 AS ended FROM reliable_mq_outbox',
  ]);
  for (const process of running) process.stop();
  const results = await Promise.all(running.map(({ result }) => result));
  const messages = await lab.messageCount(sink);
  if (messages !== EVENTS) failures.push(`${processes} processes published ${messages} messages for ${EVENTS} events`);
  await lab.deleteQueues(sink);
  await lab.dropDatabase(service);
  return {
    count: EVENTS,
    seconds: ended - began,
    cpuMs: results.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    rssMb: Math.max(...results.map(({ rssMb }) => rssMb)),
  };
}
