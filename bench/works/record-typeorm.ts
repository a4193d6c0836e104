import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { EVENT_TYPE, payload } from './order-placed';
import type { RecordConfig } from './record-ours';

/** The same transaction by hand with TypeORM, as the application would write it: what TypeORM alone costs. */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { databaseUrl, clients, transactions, warmUp } = config;
  const dataSource = await new DataSource({ type: 'postgres', url: databaseUrl, poolSize: clients }).initialize();
  const place = (number: number): Promise<void> =>
    dataSource.transaction(async (manager) => {
      const id = randomUUID();
      await manager.query('INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)', [id, `sku-${number}`, number]);
      await manager.query('INSERT INTO outbox (id, type, payload, due_at) VALUES ($1, $2, $3, now())', [
        randomUUID(),
        EVENT_TYPE,
        JSON.stringify(payload(id, number)),
      ]);
    });
  await runClients(clients, warmUp, place);
  stage.begin();
  const latencies = await runClients(clients, transactions, place);
  stage.end();
  await dataSource.destroy();
  return { count: transactions, figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) } };
}
