import { queryOnce } from '../tools/servers/query-once';
import type { PlannedOrder } from './plan';

export interface OrderRow {
  readonly id: string;
  readonly sku: string;
  readonly quantity: number;
  readonly status: string;
}

export interface DeductionRow {
  readonly orderId: string;
  readonly sku: string;
  readonly quantity: number;
  readonly state: string;
}

/** What the demo did, and what both databases say. */
export interface Evidence {
  /** Orders that were answered with 201, by id. */
  readonly accepted: ReadonlyMap<string, PlannedOrder>;
  readonly initialStock: ReadonlyMap<string, number>;
  readonly orders: readonly OrderRow[];
  readonly deductions: readonly DeductionRow[];
  readonly available: ReadonlyMap<string, number>;
}

export interface SkuBalance {
  readonly sku: string;
  readonly initial: number;
  readonly confirmed: number;
  readonly available: number;
}

export interface Verdict {
  readonly confirmed: number;
  readonly failed: number;
  /** Accepted orders without an end or without its effect on the stock, and pieces that came from nowhere. */
  readonly lost: number;
  /** Orders and deductions that nobody asked for, and pieces that went twice. */
  readonly duplicated: number;
  readonly balances: readonly SkuBalance[];
  /** What is wrong, each for people. */
  readonly findings: readonly string[];
}

/** Reads both databases, past the services. */
export async function collectEvidence(
  orderUrl: string,
  inventoryUrl: string,
  accepted: ReadonlyMap<string, PlannedOrder>,
  initialStock: ReadonlyMap<string, number>,
): Promise<Evidence> {
  const orders = await queryOnce<OrderRow>(orderUrl, 'SELECT id, sku, quantity, status FROM orders');
  const deductions = await queryOnce<DeductionRow>(
    inventoryUrl,
    'SELECT order_id AS "orderId", sku, quantity, state FROM deductions',
  );
  const stock = await queryOnce<{ sku: string; available: number }>(inventoryUrl, 'SELECT sku, available FROM stock');
  return {
    accepted,
    initialStock,
    orders,
    deductions,
    available: new Map(stock.map(({ sku, available }) => [sku, available])),
  };
}

/** Holds what was accepted against what is there: order by order, then piece by piece. */
export function judge({ accepted, initialStock, orders, deductions, available }: Evidence): Verdict {
  const findings: string[] = [];
  let lost = 0;
  let duplicated = 0;
  const orderById = new Map(orders.map((order) => [order.id, order]));
  const takenBy = new Map(deductions.filter(({ state }) => state === 'TAKEN').map((row) => [row.orderId, row]));

  for (const [id, { sku, quantity }] of accepted) {
    const problem = problemOf(orderById.get(id), takenBy.get(id), sku, quantity);
    if (problem === undefined) continue;
    lost += 1;
    findings.push(`order ${id}: ${problem}`);
  }
  for (const { id } of orders.filter((order) => !accepted.has(order.id))) {
    duplicated += 1;
    findings.push(`order ${id} exists and was never accepted`);
  }
  for (const orderId of [...takenBy.keys()].filter((id) => !orderById.has(id))) {
    duplicated += 1;
    findings.push(`stock was taken for order ${orderId}, which does not exist`);
  }

  const balances = [...initialStock].map(([sku, initial]) => {
    const held = sum([...takenBy.values()].filter((row) => row.sku === sku));
    const difference = initial - held - (available.get(sku) ?? 0);
    if (difference > 0) duplicated += difference;
    if (difference < 0) lost -= difference;
    if (difference !== 0)
      findings.push(`${sku}: ${Math.abs(difference)} pieces ${difference > 0 ? 'went twice' : 'came from nowhere'}`);
    const confirmed = sum(orders.filter((order) => order.sku === sku && order.status === 'CONFIRMED'));
    return { sku, initial, confirmed, available: available.get(sku) ?? 0 };
  });

  return {
    confirmed: orders.filter(({ status }) => status === 'CONFIRMED').length,
    failed: orders.filter(({ status }) => status === 'FAILED').length,
    lost,
    duplicated,
    balances,
    findings,
  };
}

function problemOf(
  order: OrderRow | undefined,
  taken: DeductionRow | undefined,
  sku: string,
  quantity: number,
): string | undefined {
  if (!order) return 'was accepted and does not exist';
  if (order.sku !== sku || order.quantity !== quantity) return 'is not what was ordered';
  if (order.status === 'FAILED') return taken ? 'failed, and its stock was not given back' : undefined;
  if (order.status !== 'CONFIRMED') return `is still ${order.status}`;
  if (!taken) return 'is confirmed, and no stock was taken';
  return taken.sku === sku && taken.quantity === quantity ? undefined : 'took something else than was ordered';
}

function sum(rows: readonly { readonly quantity: number }[]): number {
  return rows.reduce((total, { quantity }) => total + quantity, 0);
}
