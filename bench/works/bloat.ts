import { Injectable } from '@nestjs/common';
import { EventRecorder, ReliableEventHandler } from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import type { Stage, WorkOutcome } from '../work';
import { type Place, startApp } from './app';
import { runClients } from './clients';
import { OrderPlaced, payload } from './order-placed';

export interface BloatConfig extends Place {
  readonly events: number;
  readonly perTransaction: number;
  /** Throughput is reported of each so many. */
  readonly stretch: number;
}

@Injectable()
class Stock {
  @ReliableEventHandler(OrderPlaced, { prefetch: 50 })
  deduct(): Promise<void> {
    return Promise.resolve();
  }
}

/** Events are recorded, published, consumed and pruned as fast as it goes; how fast that is from stretch to stretch. */
export default async function work(config: BloatConfig, stage: Stage): Promise<WorkOutcome> {
  const { events, perTransaction, stretch } = config;
  let consumed = 0;
  const stretches: number[] = [];
  let from = performance.now();
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const app = await startApp({
    ...config,
    poolSize: 80,
    providers: [Stock],
    // What has ended is pruned at once: three minutes at this speed are many hours' worth of events.
    reliableMq: {
      retention: { outboxHours: 0.001, pruneIntervalMs: 1_000, pruneBatchSize: 5_000 },
      consume: { prefetch: 50 },
    },
    hooks: {
      consumed: () => {
        consumed += 1;
        if (consumed % stretch === 0) {
          stretches.push(stretch / ((performance.now() - from) / 1_000));
          from = performance.now();
        }
        if (consumed === events) done();
      },
    },
  });
  const recorder = app.get(EventRecorder);
  let recorded = 0;
  stage.begin();
  await runClients(8, events / perTransaction, async (number) => {
    // As much is under way as consumers keep up with.
    while (recorded - consumed > 5_000) await new Promise((resolve) => setTimeout(resolve, 5));
    recorded += perTransaction;
    await recorder.transaction(async () => {
      for (let index = 0; index < perTransaction; index += 1) {
        const id = `00000000-0000-7000-8000-${String(number * perTransaction + index).padStart(12, '0')}`;
        await recorder.record(Object.assign(new OrderPlaced(), payload(id, number)));
      }
    });
  });
  await all;
  stage.end();
  const sizes = await sizesOf(app.get(DataSource));
  await app.close();
  return {
    count: consumed,
    figures: { first: stretches[0] ?? 0, last: stretches.at(-1) ?? 0, ...sizes },
    notes: { stretches: stretches.map(Math.round) },
  };
}

async function sizesOf(dataSource: DataSource): Promise<Record<string, number>> {
  const rows = await dataSource.query<{ name: string; table_mb: number; index_mb: number }[]>(
    `SELECT relname AS name, pg_table_size(oid)::float8 / 1048576 AS table_mb, pg_indexes_size(oid)::float8 / 1048576 AS index_mb
     FROM pg_class WHERE relname IN ('reliable_mq_outbox', 'reliable_mq_inbox')`,
  );
  return Object.fromEntries(
    rows.flatMap(({ name, table_mb, index_mb }) => [
      [`${name} MB`, table_mb],
      [`${name} indexes MB`, index_mb],
    ]),
  );
}
