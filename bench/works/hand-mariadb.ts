import { randomBytes, randomUUID } from 'node:crypto';
import { createPool, type Pool, type PoolConnection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';
import type { HandDatabase, HandEvent } from './hand-database';
import { EVENT_TYPE, type OrderPayload, payload } from './order-payload';
import { DEDUCT_BY_MARKS } from './stock';

const ORDER = 'INSERT INTO orders (id, sku, quantity) VALUES (?, ?, ?)';
const EVENT = 'INSERT INTO outbox (id, type, payload, due_at) VALUES (?, ?, ?, NOW(6))';
const INBOX = 'INSERT IGNORE INTO inbox (id) VALUES (?)';
const CLAIM =
  'SELECT id, type, payload FROM outbox WHERE due_at <= NOW(6) ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED';
const LEASE = 'UPDATE outbox SET due_at = NOW(6) + INTERVAL 30 SECOND WHERE id IN (?)';
const SETTLE = 'UPDATE outbox SET due_at = NULL WHERE id IN (?)';

/** With prepared statements of `mysql2`, but for the two that name many rows. */
export class MariadbByHand implements HandDatabase {
  private readonly pool: Pool;

  constructor(databaseUrl: string, connections: number) {
    this.pool = createPool({ uri: databaseUrl, connectionLimit: connections });
  }

  place(number: number): Promise<void> {
    return this.transaction(async (connection) => {
      const id = randomUUID();
      await connection.execute(ORDER, [Buffer.from(id.replaceAll('-', ''), 'hex'), `sku-${number}`, number]);
      await connection.execute(EVENT, [randomBytes(16), EVENT_TYPE, JSON.stringify(payload(id, number))]);
    });
  }

  handle(id: string, event: OrderPayload): Promise<void> {
    return this.transaction(async (connection) => {
      const [{ affectedRows }] = await connection.execute<ResultSetHeader>(INBOX, [id]);
      if (affectedRows === 1) await connection.execute(DEDUCT_BY_MARKS, [event.quantity, event.sku]);
    });
  }

  /** Under READ COMMITTED: the gaps between the rows are nobody's. */
  async claim(limit: number): Promise<readonly HandEvent[]> {
    let events: readonly HandEvent[] = [];
    await this.transaction(async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(CLAIM, [limit]);
      const found = rows as unknown as readonly {
        readonly id: Buffer;
        readonly type: string;
        readonly payload: string;
      }[];
      if (found.length > 0) await connection.query(LEASE, [found.map(({ id }) => id)]);
      events = found.map(({ id, type, payload: json }) => ({ id: id.toString('hex'), type, payload: json }));
    }, 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return events;
  }

  async settle(ids: readonly string[]): Promise<void> {
    await this.pool.query(SETTLE, [ids.map((id) => Buffer.from(id, 'hex'))]);
  }

  close(): Promise<void> {
    return this.pool.end();
  }

  private async transaction(work: (connection: PoolConnection) => Promise<void>, before?: string): Promise<void> {
    const connection = await this.pool.getConnection();
    try {
      if (before !== undefined) await connection.query(before);
      await connection.query('START TRANSACTION');
      await work(connection);
      await connection.query('COMMIT');
    } catch (error) {
      await connection.query('ROLLBACK');
      throw error;
    } finally {
      connection.release();
    }
  }
}
