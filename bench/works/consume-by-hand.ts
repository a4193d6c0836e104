import { connect } from 'amqplib';
import { Pool } from 'pg';
import type { Stage, WorkOutcome } from '../work';
import type { ConsumeConfig } from './consume-ours';
import { INSERT_INBOX } from './hand-inbox';
import { EVENT_TYPE, type OrderPlaced } from './order-placed';
import { DEDUCT } from './stock';

const UPDATE = { name: 'update', text: DEDUCT };

/** Transaction, inbox row, UPDATE, commit, acknowledgement; so many at once. */
export default async function work(config: ConsumeConfig, stage: Stage): Promise<WorkOutcome> {
  const { amqpUrl, databaseUrl, service, concurrency, count } = config;
  const connection = await connect(amqpUrl);
  const channel = await connection.createChannel();
  await channel.prefetch(concurrency);
  const pool = new Pool({ connectionString: databaseUrl, max: concurrency });
  const handle = async (id: string, event: OrderPlaced): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const { rowCount } = await client.query({ ...INSERT_INBOX, values: [id] });
      if (rowCount === 1) await client.query({ ...UPDATE, values: [event.sku, event.quantity] });
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };
  let received = 0;
  let acknowledged = 0;
  await new Promise<void>((resolve, reject) => {
    void channel.consume(`${service}.${EVENT_TYPE}`, (message) => {
      if (!message) return;
      if (received === 0) stage.begin();
      received += 1;
      const event = JSON.parse(message.content.toString()) as OrderPlaced;
      handle(String(message.properties.messageId), event).then(() => {
        channel.ack(message);
        acknowledged += 1;
        if (acknowledged === count) resolve();
      }, reject);
    });
  });
  stage.end();
  await pool.end();
  await connection.close();
  return { count: acknowledged };
}
