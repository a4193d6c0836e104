import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { EVENT_TYPE, payload } from './order-placed';

const ORDER = { name: 'order', text: 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)' };
const EVENT = { name: 'event', text: 'INSERT INTO outbox (id, type, payload, due_at) VALUES ($1, $2, $3, now())' };

/** An order and its event in one transaction, written by hand, with prepared statements. */
export async function placeByHand(pool: Pool, number: number): Promise<void> {
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
}
