import { type AppName, APPS } from '../instance';
import type { Landscape } from '../landscape';
import type { OrderRequest } from '../load';

export interface OrderRow {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly status: string;
  readonly reason: string | null;
}

export interface StockRow {
  readonly sku: string;
  readonly available: number;
}

export interface DeductionRow {
  readonly order_id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly state: string;
}

/** A row of an outbox. */
export interface EventRow {
  readonly app: AppName;
  readonly id: string;
  readonly type: string;
  readonly order_id: string;
  readonly status: string;
  readonly is_due: boolean;
  readonly is_overdue: boolean;
  readonly is_compensated: boolean;
  readonly reason: string | null;
}

/** A row of an inbox. */
export interface HandlingRow {
  readonly app: AppName;
  readonly event_id: string;
  readonly type: string;
  readonly status: string;
  readonly is_due: boolean;
  readonly reason: string | null;
  /** The beginning of what was parked. */
  readonly body_start: string | null;
}

export interface QueueRow {
  readonly name: string;
  readonly messages: number;
  readonly consumers: number;
}

/** Everything that an audit judges, once all is quiet. */
export interface Snapshot {
  readonly requests: readonly OrderRequest[];
  readonly initialStock: ReadonlyMap<string, number>;
  readonly orders: readonly OrderRow[];
  readonly stock: readonly StockRow[];
  readonly deductions: readonly DeductionRow[];
  readonly events: readonly EventRow[];
  readonly handlings: readonly HandlingRow[];
  readonly queues: readonly QueueRow[];
}

export async function takeSnapshot(
  landscape: Landscape,
  requests: readonly OrderRequest[],
  initialStock: ReadonlyMap<string, number>,
): Promise<Snapshot> {
  const [orders, stock, deductions, queues] = await Promise.all([
    landscape.query<OrderRow>('order', 'SELECT id, sku, quantity, status, reason FROM orders'),
    landscape.query<StockRow>('inventory', 'SELECT sku, available FROM stock'),
    landscape.query<DeductionRow>('inventory', 'SELECT order_id, sku, quantity, state FROM deductions'),
    landscape.node().listQueues(),
  ]);
  const events = await Promise.all(APPS.map((app) => eventsOf(landscape, app)));
  const handlings = await Promise.all(APPS.map((app) => handlingsOf(landscape, app)));
  return {
    requests,
    initialStock,
    orders,
    stock,
    deductions,
    events: events.flat(),
    handlings: handlings.flat(),
    queues,
  };
}

async function eventsOf(landscape: Landscape, app: AppName): Promise<EventRow[]> {
  const { sql } = landscape.database;
  const rows = await landscape.query<Omit<EventRow, 'app'>>(
    app,
    `SELECT id, type, ${sql.field('orderId')} AS order_id, status, due_at IS NOT NULL AS is_due,
       coalesce(due_at < ${sql.now}, false) AS is_overdue, compensated_at IS NOT NULL AS is_compensated, reason
     FROM reliable_mq_outbox`,
  );
  return rows.map((row) => ({ app, ...row }));
}

async function handlingsOf(landscape: Landscape, app: AppName): Promise<HandlingRow[]> {
  const rows = await landscape.query<Omit<HandlingRow, 'app'>>(
    app,
    `SELECT event_id, type, status, due_at IS NOT NULL AS is_due, reason,
       CASE WHEN event_id LIKE 'sha256:%' THEN ${landscape.database.sql.beginning('body')} END AS body_start
     FROM reliable_mq_inbox`,
  );
  return rows.map((row) => ({ app, ...row }));
}
