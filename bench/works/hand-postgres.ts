import { randomUUID } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';
import type { HandDatabase, HandEvent } from './hand-database';
import { INSERT_INBOX } from './hand-inbox';
import { EVENT_TYPE, type OrderPayload, payload } from './order-payload';
import { DEDUCT } from './stock';

const ORDER = { name: 'order', text: 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)' };
const EVENT = { name: 'event', text: 'INSERT INTO outbox (id, type, payload, due_at) VALUES ($1, $2, $3, now())' };
const UPDATE = { name: 'update', text: DEDUCT };
const CLAIM = {
  name: 'claim',
  text: `UPDATE outbox AS o SET due_at = now() + interval '30 seconds'
    FROM (SELECT id FROM outbox WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
    WHERE o.id = due.id RETURNING o.id, o.type, o.payload::text AS payload`,
};
const SETTLE = { name: 'settle', text: 'UPDATE outbox SET due_at = NULL WHERE id = ANY($1)' };

/** With prepared statements of `pg`. */
export class PostgresByHand implements HandDatabase {
  private readonly pool: Pool;

  constructor(databaseUrl: string, connections: number) {
    this.pool = new Pool({ connectionString: databaseUrl, max: connections });
  }

  place(number: number): Promise<void> {
    return this.transaction(async (client) => {
      const id = randomUUID();
      await client.query({ ...ORDER, values: [id, `sku-${number}`, number] });
      await client.query({ ...EVENT, values: [randomUUID(), EVENT_TYPE, JSON.stringify(payload(id, number))] });
    });
  }

  handle(id: string, event: OrderPayload): Promise<void> {
    return this.transaction(async (client) => {
      const { rowCount } = await client.query({ ...INSERT_INBOX, values: [id] });
      if (rowCount === 1) await client.query({ ...UPDATE, values: [event.sku, event.quantity] });
    });
  }

  async claim(limit: number): Promise<readonly HandEvent[]> {
    return (await this.pool.query<HandEvent>({ ...CLAIM, values: [limit] })).rows;
  }

  async settle(ids: readonly string[]): Promise<void> {
    await this.pool.query({ ...SETTLE, values: [ids] });
  }

  close(): Promise<void> {
    return this.pool.end();
  }

  private async transaction(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
