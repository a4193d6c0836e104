import { randomUUID } from 'node:crypto';
import { Pool } from 'pg';
import { percentile } from '../stats';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { EVENT_TYPE, payload } from './order-placed';
import type { RecordConfig } from './record-ours';

const ORDER = { name: 'order', text: 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)' };
const EVENT = { name: 'event', text: 'INSERT INTO outbox (id, type, payload, due_at) VALUES ($1, $2, $3, now())' };

/** The same transaction with the event's INSERT written by hand, prepared statements, and nothing that publishes. */
export default async function work(config: RecordConfig, stage: Stage): Promise<WorkOutcome> {
  const { databaseUrl, clients, transactions, warmUp } = config;
  const pool = new Pool({ connectionString: databaseUrl, max: clients });
  const place = async (number: number): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const id = randomUUID();
      await client.query({ ...ORDER, values: [id, `sku-${number}`, number] });
      await client.query({ ...EVENT, values: [randomUUID(), EVENT_TYPE, JSON.stringify(payload(id, number))] });
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };
  await runClients(clients, warmUp, place);
  stage.begin();
  const latencies = await runClients(clients, transactions, place);
  stage.end();
  await pool.end();
  return { count: transactions, figures: { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) } };
}
