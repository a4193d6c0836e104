import { skuThatFails } from '../apps/orders-to-fail';
import { causesOf } from './causes';
import type { EventRow, OrderRow, Snapshot } from './snapshot';

const TOLD = skuThatFails({ what: 'reject', attempts: 1, eventType: 'order.created' });
const TOLD_FOR_A_WHILE = skuThatFails({ what: 'throw', attempts: 3, eventType: 'order.created' });

const order = (id: string, sku: string, status: string, reason: string | null = null): OrderRow => ({
  id,
  sku,
  quantity: 1,
  status,
  reason,
});

const compensated = (orderId: string): EventRow => ({
  app: 'order',
  id: `event of ${orderId}`,
  type: 'order.created',
  order_id: orderId,
  status: 'dead',
  is_due: false,
  is_overdue: false,
  is_compensated: true,
  reason: null,
});

const snapshot = (orders: OrderRow[], events: EventRow[]): Snapshot => ({
  requests: [],
  initialStock: new Map(),
  orders,
  stock: [],
  deductions: [],
  events,
  handlings: [],
  queues: [],
});

describe('the causes', () => {
  it('tell what was meant to fail from what failed of the faults', () => {
    const orders = [
      order('confirmed', 'plenty-1', 'CONFIRMED'),
      order('short of stock', 'scarce-1', 'FAILED', 'not enough stock'),
      order('told', TOLD, 'FAILED', 'given up: inventory rejected'),
      order('told for a while', TOLD_FOR_A_WHILE, 'FAILED', 'given up: no receipt'),
      order('lost', 'scarce-1', 'FAILED', 'given up: no receipt'),
      order('handled after all', 'plenty-1', 'CONFIRMED'),
    ];
    const events = ['told', 'told for a while', 'lost', 'handled after all'].map(compensated);
    expect(causesOf(snapshot(orders, events))).toEqual({
      failed: { scarceStock: 1, toldToFail: 1, faults: 2 },
      compensated: { toldToFail: 1, faults: 3 },
    });
  });
});
