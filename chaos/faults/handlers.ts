import { EACH_TIME, type OrderToFail, skuThatFails } from '../apps/orders-to-fail';
import { pause } from '../clock';
import type { Load, OrderRequest } from '../load';
import { type FaultKind, FaultMissed } from './fault';

const PLACE_WITHIN_ATTEMPTS = 50;

const KINDS: readonly { readonly name: string; readonly order: OrderToFail; readonly orders: number }[] = [
  {
    name: 'handler throws, then succeeds',
    order: { what: 'throw', attempts: 3, eventType: 'order.created' },
    orders: 5,
  },
  {
    name: 'handler throws each time',
    order: { what: 'throw', attempts: EACH_TIME, eventType: 'order.created' },
    orders: 3,
  },
  {
    name: 'handler fails while a part of its work goes on',
    order: { what: 'abandon', attempts: 3, eventType: 'order.created' },
    orders: 8,
  },
  {
    name: 'handler of the answer fails while a part of its work goes on',
    order: { what: 'abandon', attempts: 2, eventType: 'inventory.deducted' },
    orders: 5,
  },
  { name: 'handler rejects', order: { what: 'reject', attempts: EACH_TIME, eventType: 'order.created' }, orders: 3 },
  { name: 'handler hangs, then succeeds', order: { what: 'hang', attempts: 1, eventType: 'order.created' }, orders: 4 },
  {
    name: 'handler hangs each time',
    order: { what: 'hang', attempts: EACH_TIME, eventType: 'order.created' },
    orders: 1,
  },
  {
    name: 'handler kills its process each time',
    order: { what: 'kill', attempts: EACH_TIME, eventType: 'order.created' },
    orders: 1,
  },
  {
    name: 'handler of the answer throws',
    order: { what: 'throw', attempts: 3, eventType: 'inventory.deducted' },
    orders: 5,
  },
  {
    name: 'handler of the answer kills its process',
    order: { what: 'kill', attempts: 1, eventType: 'inventory.deducted' },
    orders: 1,
  },
];

/** Every stock keeping unit that these faults order: there must be enough of it. */
export const FAULT_SKUS: readonly string[] = [
  ...KINDS.map(({ order }) => skuThatFails(order)),
  skuThatFails({ what: 'throw', attempts: 2, eventType: 'order.created' }),
];

export const HANDLER_FAULTS: readonly FaultKind[] = KINDS.map(({ name, order, orders }) => ({
  name,
  family: 'handler',
  lane: 'handlers',
  seconds: 2,
  inject: async ({ load }) => `${(await placeOrders(load, skuThatFails(order), orders)).length} orders`,
}));

/**
 * @returns those that were accepted: fewer when something else is broken for long
 * @throws FaultMissed when none was
 */
export async function placeOrders(load: Load, sku: string, count: number): Promise<OrderRequest[]> {
  const accepted: OrderRequest[] = [];
  for (let attempt = 0; accepted.length < count && attempt < PLACE_WITHIN_ATTEMPTS; attempt += 1) {
    const placed = await load.place(sku);
    if (placed.answer === 'accepted') accepted.push(placed);
    else await pause(200);
  }
  if (accepted.length === 0) throw new FaultMissed('no order was accepted');
  return accepted;
}
