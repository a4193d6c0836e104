import type { Benchmark } from '../benchmark';
import { libraryTables } from '../seed';
import { spreadOf } from '../stats';
import type { IdleConfig } from '../works/idle';

/** Each job of the compensation task runs several times in it. */
const SECONDS = 60;

export const idle: Benchmark = {
  name: 'idle',
  work: `one process that records and handles, and has nothing to do for ${SECONDS} s`,
  baseline: 'none',
  run: async ({ lab }) => {
    const service = lab.name();
    const databaseUrl = await lab.database(service, [...libraryTables()]);
    const config: IdleConfig = { databaseUrl, amqpUrl: lab.rabbitmq.url, service, seconds: SECONDS };
    const { count, seconds, cpuMs, rssMb } = await lab.run('idle', config);
    await lab.dropDatabase(service);
    return {
      figures: [
        { name: 'idle, queries', unit: 'per s', ours: spreadOf([count / seconds]), target: { atMost: 1 } },
        {
          name: 'idle, processor',
          unit: '% of a core',
          ours: spreadOf([cpuMs / 10 / seconds]),
          target: { atMost: 1 },
          rssMb: { ours: rssMb },
        },
      ],
      failures: [],
      notes: [],
    };
  },
};
