import { isToldToFail } from '../apps/orders-to-fail';
import type { OrderRow, Snapshot } from './snapshot';

/** Why orders failed and events were compensated. */
export interface Causes {
  readonly failed: {
    /** Refused by inventory: some stock is scarce on purpose. */
    readonly scarceStock: number;
    /** Their handlers were told to fail for good. */
    readonly toldToFail: number;
    /** Given up although nothing but the faults kept them from being handled. */
    readonly faults: number;
  };
  readonly compensated: {
    readonly toldToFail: number;
    /** The order may be CONFIRMED all the same: when it had been handled after all. */
    readonly faults: number;
  };
}

export function causesOf({ orders, events }: Snapshot): Causes {
  const failed = { scarceStock: 0, toldToFail: 0, faults: 0 };
  for (const order of orders) {
    if (order.status !== 'FAILED') continue;
    if (isToldToFail(order.sku)) failed.toldToFail += 1;
    else if (isGivenUp(order)) failed.faults += 1;
    else failed.scarceStock += 1;
  }
  const skus = new Map(orders.map(({ id, sku }) => [id, sku]));
  const compensated = { toldToFail: 0, faults: 0 };
  for (const { is_compensated: isCompensated, order_id: orderId } of events) {
    if (!isCompensated) continue;
    if (isToldToFail(skus.get(orderId) ?? '')) compensated.toldToFail += 1;
    else compensated.faults += 1;
  }
  return { failed, compensated };
}

/** It failed by OrderService#cancel, its compensation handler. */
export function isGivenUp({ status, reason }: Pick<OrderRow, 'status' | 'reason'>): boolean {
  return status === 'FAILED' && reason !== null && reason.startsWith('given up: ');
}
