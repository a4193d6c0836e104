import { MariadbByHand } from './hand-mariadb';
import type { OrderPayload } from './order-payload';
import { PostgresByHand } from './hand-postgres';

/** A row of the outbox that was written by hand. */
export interface HandEvent {
  readonly id: string;
  readonly type: string;
  readonly payload: string;
}

/** What an application writes by hand on the database's own driver. */
export interface HandDatabase {
  /** An order and its event in one transaction. */
  place(number: number): Promise<void>;
  /** A message in one transaction: its inbox row, and one UPDATE unless that was there. */
  handle(id: string, event: OrderPayload): Promise<void>;
  claim(limit: number): Promise<readonly HandEvent[]>;
  settle(ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export function openByHand(databaseUrl: string, connections: number): HandDatabase {
  return databaseUrl.startsWith('mysql:')
    ? new MariadbByHand(databaseUrl, connections)
    : new PostgresByHand(databaseUrl, connections);
}
