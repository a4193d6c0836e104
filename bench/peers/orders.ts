import { randomUUID } from 'node:crypto';
import { Pool, type PoolClient } from 'pg';
import { type OrderPayload, payload } from '../works/order-payload';

const ORDER = { name: 'order', text: 'INSERT INTO orders (id, sku, quantity) VALUES ($1, $2, $3)' };

/** Places orders in transactions of plain pg. */
export class Orders {
  private readonly pool: Pool;

  /** @param record inserts the event in the order's transaction */
  constructor(
    databaseUrl: string,
    clients: number,
    private readonly record: (client: PoolClient, id: string, payload: OrderPayload) => Promise<unknown>,
  ) {
    this.pool = new Pool({ connectionString: databaseUrl, max: clients });
  }

  /** @returns the event's id */
  async place(number: number): Promise<string> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const id = randomUUID();
      await client.query({ ...ORDER, values: [id, `sku-${number}`, number] });
      const eventId = randomUUID();
      await this.record(client, eventId, payload(id, number));
      await client.query('COMMIT');
      return eventId;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }
}
