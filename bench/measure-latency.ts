import type { Bench } from './benchmark';
import { libraryTables } from './seed';
import { percentile } from './stats';
import type { WorkResult } from './work';
import { HAND_INBOX } from './works/hand-inbox';
import type { LatencyConfig } from './works/latency-ours';

/** Events a second, for so many seconds. */
export interface Rate {
  readonly perSecond: number;
  readonly seconds: number;
}

/** The two processes between which an event's way is measured. */
export interface Sides {
  readonly producer: {
    readonly work: string;
    /** Statements that make its tables. */
    readonly tables: readonly string[];
    /** What else its tables need. */
    readonly setUp?: (databaseUrl: string) => Promise<void>;
    readonly config?: object;
  };
  readonly consumer: { readonly work: string };
}

const WARM_UP_SECONDS = 2;
/** After the last commit, for the last event to be handled. */
const LAST_MS = 1_000;

/** How long events take from the commit to the handler, at a rate: figures `p50` and `p99` in milliseconds. */
export async function measureLatency(
  { lab }: Bench,
  { producer, consumer }: Sides,
  { perSecond, seconds }: Rate,
  failures: string[],
): Promise<WorkResult> {
  const exchange = lab.name();
  const producerUrl = await lab.database(`${exchange}_producer`, producer.tables);
  await producer.setUp?.(producerUrl);
  const consumerUrl = await lab.database(`${exchange}_consumer`, [...libraryTables(), HAND_INBOX]);
  await lab.settle();
  const config: Omit<LatencyConfig, 'role' | 'databaseUrl' | 'service'> = {
    amqpUrl: lab.rabbitmq.url,
    exchange,
    perSecond,
    count: perSecond * seconds,
    warmUp: perSecond * WARM_UP_SECONDS,
  };
  const consuming = lab.start(consumer.work, {
    ...config,
    role: 'consumer',
    databaseUrl: consumerUrl,
    service: `${exchange}-stock`,
  });
  await consuming.ready;
  const producing = lab.start(producer.work, {
    ...config,
    ...producer.config,
    role: 'producer',
    databaseUrl: producerUrl,
    service: `${exchange}-shop`,
  });
  // A producer that has no outcome of its own to wait for ends when it is told to, its last events on their way.
  const produced = producing.result;
  await Promise.race([produced, producing.ended]);
  await new Promise((resolve) => setTimeout(resolve, LAST_MS));
  producing.stop();
  const sent = await produced;
  consuming.stop();
  const entered = timesOf(await consuming.result);
  const latencies: number[] = [];
  let missing = 0;
  for (const [index, [id, committedAt]] of [...timesOf(sent)].entries()) {
    const enteredAt = entered.get(id);
    if (enteredAt === undefined) missing += 1;
    else if (index >= config.warmUp) latencies.push(enteredAt - committedAt);
  }
  if (missing > 0) failures.push(`${producer.work} at ${perSecond}/s: ${missing} events were not handled in time`);
  const queues = (await lab.rabbitmq.listQueues()).map(({ name }) => name);
  await lab.deleteQueues(...queues.filter((name) => name.startsWith(exchange)));
  for (const side of ['producer', 'consumer']) await lab.dropDatabase(`${exchange}_${side}`);
  return { ...sent, notes: {}, figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) } };
}

function timesOf({ notes }: WorkResult): Map<string, number> {
  return new Map(Object.entries((notes?.['times'] ?? {}) as Record<string, number>));
}
