import { type Benchmark, compareThroughput, inTurns } from '../benchmark';
import type { DrainConfig } from '../works/drain-ours';

const EVENTS = 100_000;

export const drain: Benchmark = {
  name: 'drain',
  databases: ['postgres', 'mariadb'],
  work: `a backlog of ${EVENTS.toLocaleString('en')} pending events, one process`,
  baseline:
    'raw amqplib, confirms, pipelined 1,000, no database; and a hand-written loop: claim 500, publish, confirm, settle',
  run: async (bench) => {
    const { lab } = bench;
    const failures: string[] = [];
    const measure = async (work: string, statements: readonly string[]): ReturnType<typeof lab.run> => {
      const name = lab.name();
      const databaseUrl = await lab.copiedDatabase(name, statements);
      const sink = await lab.declareSink(name);
      await lab.settle();
      const config = { databaseUrl, amqpUrl: lab.rabbitmq.url, service: name, count: EVENTS };
      const result = await lab.run(work, config satisfies DrainConfig);
      const messages = await lab.messageCount(sink);
      if (work !== 'drain-raw' && messages !== EVENTS) failures.push(`${work} published ${messages} of ${EVENTS}`);
      await lab.deleteQueues(sink);
      await lab.dropDatabase(name);
      return result;
    };
    const { ours, raw, hand } = await inTurns(bench, {
      raw: () => measure('drain-raw', []),
      ours: () => measure('drain-ours', [...lab.seed.library(), ...lab.seed.pending(EVENTS)]),
      hand: () => measure('drain-by-hand', [...lab.seed.handOutbox, ...lab.seed.pendingByHand(EVENTS)]),
    });
    return {
      figures: [
        compareThroughput('drain', ours, raw, { atLeast: 0.55 }),
        compareThroughput('drain-hand', ours, hand, { atLeast: 1 }),
      ],
      failures,
      notes: [],
    };
  },
};
