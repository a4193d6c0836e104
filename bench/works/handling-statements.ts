import { randomUUID } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';
import type { Stage, WorkOutcome } from '../work';
import { runClients } from './clients';
import { INSERT_INBOX } from './hand-inbox';
import { EVENT_TYPE, SKUS } from './order-payload';
import { DEDUCT } from './stock';

export interface HandlingStatementsConfig {
  readonly databaseUrl: string;
  readonly clients: number;
  readonly count: number;
  readonly warmUp: number;
  /** The inbox row as the library writes it, instead of an id alone. */
  readonly hasLibraryRow?: boolean;
  /** The handler's statement as TypeORM sends it: without a name, so parsed and planned each time. */
  readonly isUnprepared?: boolean;
}

/** The columns that the library writes for a message that is handled at its first delivery. */
const AS_LIBRARY = {
  name: 'inbox-row',
  text: `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, redrives, status, attempts, ended_at)
         VALUES ($1, $2, $2, 1, 0, 'handled', 1, clock_timestamp()) ON CONFLICT (event_id, consumer) DO NOTHING RETURNING 1`,
};

/** What a handled message asks of PostgreSQL, without a broker and without the library. */
export default async function work(config: HandlingStatementsConfig, stage: Stage): Promise<WorkOutcome> {
  const { databaseUrl, clients, count, warmUp } = config;
  const pool = new Pool({ connectionString: databaseUrl, max: clients });
  const insert = (client: PoolClient): Promise<unknown> =>
    config.hasLibraryRow
      ? client.query({ ...AS_LIBRARY, values: [randomUUID(), EVENT_TYPE] })
      : client.query({ ...INSERT_INBOX, values: [randomUUID()] });
  const handle = async (number: number): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await insert(client);
      const values = [`sku-${number % SKUS}`, 1 + (number % 7)];
      await client.query(config.isUnprepared ? { text: DEDUCT, values } : { name: 'update', text: DEDUCT, values });
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  };
  await runClients(clients, warmUp, handle);
  stage.begin();
  await runClients(clients, count, handle);
  stage.end();
  await pool.end();
  return { count };
}
