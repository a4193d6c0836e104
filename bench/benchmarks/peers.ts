import {
  type Bench,
  type Benchmark,
  compare,
  compareThroughput,
  type Figure,
  figureOf,
  inTurns,
  publishedShare,
} from '../benchmark';
import { measureLatency, type Rate, type Sides } from '../measure-latency';
import { PEER_NAMES, type PeerName } from '../peers/catalogue';
import { libraryTables, pendingEvents } from '../seed';
import type { WorkResult } from '../work';
import type { DrainConfig } from '../works/drain-ours';
import { ORDERS_TABLE } from '../works/hand-outbox';
import type { PeerDrainConfig } from '../works/peer-drain';
import type { PeerRecordConfig } from '../works/peer-record';
import type { PeerSetUpConfig } from '../works/peer-set-up';
import type { RecordConfig } from '../works/record-ours';

const BACKLOG = 40_000;
const CLIENTS = 16;
const TRANSACTIONS = 10_000;
const WARM_UP = 1_000;
const RATES: readonly Rate[] = [
  { perSecond: 50, seconds: 10 },
  { perSecond: 500, seconds: 6 },
];

const OURS = 'ours';
type Side = typeof OURS | PeerName;
const SIDES: readonly Side[] = [OURS, ...PEER_NAMES];

export const peersRecord: Benchmark = {
  name: 'peers-record',
  isPeers: true,
  work: `${CLIENTS} clients, one order row and one event per transaction, the publisher running`,
  baseline: `the same with ${PEER_NAMES.join(', ')}`,
  run: async (bench) => {
    const results = await inTurns(
      bench,
      eachSide((side) => measureRecord(bench, side)),
    );
    const share = SIDES.map((side) => `${side} ${publishedShare(results[side], WARM_UP)}`);
    return {
      figures: figuresOf('record', results),
      failures: [],
      notes: [`published while it was recorded, at least: ${share.join(', ')}`],
    };
  },
};

export const peersDrain: Benchmark = {
  name: 'peers-drain',
  isPeers: true,
  work: `a backlog of ${BACKLOG.toLocaleString('en')} pending events, one process, with confirms to a quorum queue`,
  baseline: `the same with ${PEER_NAMES.join(', ')}`,
  run: async (bench) => {
    const failures: string[] = [];
    const results = await inTurns(
      bench,
      eachSide((side) => measureDrain(bench, side, failures)),
    );
    return { figures: figuresOf('drain', results), failures, notes: [] };
  },
};

export const peersLatency: Benchmark = {
  name: 'peers-latency',
  isPeers: true,
  work: `commit to handler entered, ${RATES.map(({ perSecond }) => perSecond).join(' and ')} events/s; a consumer written by hand for the others`,
  baseline: `the same with ${PEER_NAMES.join(', ')}`,
  run: async (bench) => {
    const figures: Figure[] = [];
    const failures: string[] = [];
    for (const rate of RATES) {
      bench.say(`${rate.perSecond} events/s`);
      const results = await inTurns(
        bench,
        eachSide((side) => measureLatency(bench, latencySides(bench, side), rate, failures)),
      );
      for (const peer of PEER_NAMES) {
        const name = `latency, ${rate.perSecond} events/s, p50, ${peer} as baseline`;
        figures.push(compare(name, 'ms', results.ours, results[peer], figureOf('p50'), { atMost: 1 / 1.5 }));
      }
    }
    return { figures, failures, notes: [] };
  },
};

function latencySides({ lab }: Bench, side: Side): Sides {
  if (side === OURS)
    return {
      producer: { work: 'latency-ours', tables: [...libraryTables(), ORDERS_TABLE] },
      consumer: { work: 'latency-ours' },
    };
  return {
    producer: {
      work: 'peer-latency',
      tables: [ORDERS_TABLE],
      setUp: async (databaseUrl) => {
        await lab.run('peer-set-up', { peer: side, databaseUrl, pending: 0 } satisfies PeerSetUpConfig);
      },
      config: { peer: side },
    },
    consumer: { work: 'latency-by-hand' },
  };
}

function eachSide(measure: (side: Side) => Promise<WorkResult>): Record<Side, () => Promise<WorkResult>> {
  return Object.fromEntries(SIDES.map((side) => [side, () => measure(side)])) as Record<
    Side,
    () => Promise<WorkResult>
  >;
}

/** Ours by each peer's. */
function figuresOf(name: string, results: Readonly<Record<Side, readonly WorkResult[]>>): readonly Figure[] {
  return PEER_NAMES.map((peer) =>
    compareThroughput(`${name}, ${peer} as baseline`, results.ours, results[peer], { atLeast: 1.5 }),
  );
}

async function measureRecord({ lab }: Bench, side: Side): Promise<WorkResult> {
  const service = lab.name();
  const databaseUrl = await lab.database(service, [ORDERS_TABLE]);
  const sink = await lab.declareSink(service);
  const config: RecordConfig = {
    databaseUrl,
    amqpUrl: lab.rabbitmq.url,
    service,
    clients: CLIENTS,
    transactions: TRANSACTIONS,
    warmUp: WARM_UP,
  };
  if (side !== OURS) await lab.run('peer-set-up', { peer: side, databaseUrl, pending: 0 } satisfies PeerSetUpConfig);
  await lab.settle();
  const result =
    side === OURS
      ? await lab.run('record-ours', config)
      : await lab.run('peer-record', { ...config, peer: side } satisfies PeerRecordConfig);
  await lab.deleteQueues(sink);
  await lab.dropDatabase(service);
  return result;
}

async function measureDrain({ lab }: Bench, side: Side, failures: string[]): Promise<WorkResult> {
  const service = lab.name();
  const databaseUrl = await lab.database(
    service,
    side === OURS ? [...libraryTables(), ...pendingEvents(BACKLOG)] : [ORDERS_TABLE],
  );
  const sink = await lab.declareSink(service);
  const config: DrainConfig = { databaseUrl, amqpUrl: lab.rabbitmq.url, service, count: BACKLOG };
  if (side !== OURS) {
    await lab.run('peer-set-up', { peer: side, databaseUrl, pending: BACKLOG } satisfies PeerSetUpConfig);
    await lab.sql(databaseUrl, ['VACUUM ANALYZE']);
  }
  await lab.settle();
  const result =
    side === OURS
      ? await lab.run('drain-ours', config)
      : await lab.run('peer-drain', { ...config, peer: side } satisfies PeerDrainConfig);
  const messages = await lab.messageCount(sink);
  if (messages !== BACKLOG) failures.push(`${side} published ${messages} messages for ${BACKLOG} events`);
  await lab.deleteQueues(sink);
  await lab.dropDatabase(service);
  return result;
}
