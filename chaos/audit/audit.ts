import { isGivenUp } from './causes';
import type { EventRow, OrderRow, Snapshot } from './snapshot';

/** What the body of every message that the harness makes up contains: whatever else is parked should not be. */
export const JUNK = 'chaos-junk';

const RECEIPTS = ['order.receipts.quorum', 'inventory.receipts.quorum'];

export const QUEUES = {
  consumed: [
    'inventory.order.created',
    'inventory.order.cancelled',
    'order.inventory.deducted',
    'order.inventory.deduction-failed',
    ...RECEIPTS,
  ],
  receipts: RECEIPTS,
  /** Messages may stay there: a person looks at them. */
  kept: ['inventory.parked', 'order.parked'],
};

export type Rule =
  | 'accepted order is lost'
  | 'order is undecided'
  | 'order nobody placed'
  | 'refused request left an order'
  | 'order exists twice'
  | 'effect without a committed order'
  | 'stock does not add up'
  | 'decision and deduction disagree'
  | 'order and event are not atomic'
  | 'event has no end'
  | 'dead event was not compensated'
  | 'event was compensated twice'
  | 'handling has no end'
  | 'genuine message was parked'
  | 'message left behind'
  | 'queue nobody owns'
  | 'hot loop'
  | 'not quiet in time';

export interface Violation {
  readonly rule: Rule;
  readonly message: string;
  readonly orderId?: string;
  readonly eventId?: string;
}

/** Judges what is left when all is quiet. Pure: the state comes in, the violations come out. */
export function audit(snapshot: Snapshot): Violation[] {
  return [
    ...auditOrders(snapshot),
    ...auditDeductions(snapshot),
    ...auditStock(snapshot),
    ...auditAtomicity(snapshot),
    ...auditCancellations(snapshot),
    ...auditEvents(snapshot),
    ...auditHandlings(snapshot),
    ...auditQueues(snapshot),
  ];
}

function auditOrders({ requests, orders }: Snapshot): Violation[] {
  const violations: Violation[] = [];
  const byId = new Map(orders.map((order) => [order.id, order]));
  const byRequest = new Map<string, OrderRow[]>();
  for (const order of orders) {
    const key = requestKey(order);
    byRequest.set(key, [...(byRequest.get(key) ?? []), order]);
    if (order.status !== 'CONFIRMED' && order.status !== 'FAILED')
      violations.push({
        rule: 'order is undecided',
        message: `order ${order.id} is ${order.status}`,
        orderId: order.id,
      });
  }
  for (const request of requests) {
    const found = byRequest.get(requestKey(request)) ?? [];
    byRequest.delete(requestKey(request));
    if (request.answer === 'accepted' && (request.orderId === undefined || !byId.has(request.orderId)))
      violations.push({
        rule: 'accepted order is lost',
        message: `order ${request.orderId ?? '(no id)'} of ${request.quantity} ${request.sku} got a 201 and does not exist`,
        ...(request.orderId !== undefined && { orderId: request.orderId }),
      });
    if (request.answer === 'refused')
      for (const { id } of found)
        violations.push({
          rule: 'refused request left an order',
          message: `order ${id}: the request got ${request.problem ?? 'no answer'}`,
          orderId: id,
        });
    for (const { id } of found.slice(1))
      violations.push({
        rule: 'order exists twice',
        message: `order ${id} comes from the same request as ${found[0]?.id ?? ''}`,
        orderId: id,
      });
  }
  for (const { id } of [...byRequest.values()].flat())
    violations.push({ rule: 'order nobody placed', message: `order ${id} belongs to no request`, orderId: id });
  return violations;
}

function auditDeductions({ orders, deductions }: Snapshot): Violation[] {
  const violations: Violation[] = [];
  const byOrder = new Map(
    deductions.filter(({ state }) => state === 'TAKEN').map((deduction) => [deduction.order_id, deduction]),
  );
  const known = new Set(orders.map(({ id }) => id));
  const seen = new Set<string>();
  for (const { order_id: orderId, state } of deductions) {
    if (!known.has(orderId))
      violations.push({
        rule: 'effect without a committed order',
        message: `inventory decided ${state} for order ${orderId}, which does not exist`,
        orderId,
      });
    if (seen.has(orderId))
      violations.push({
        rule: 'decision and deduction disagree',
        message: `order ${orderId} was deducted more than once`,
        orderId,
      });
    seen.add(orderId);
  }
  for (const { id, status, sku, quantity } of orders) {
    const taken = byOrder.get(id);
    if (status === 'CONFIRMED' && (taken?.sku !== sku || taken.quantity !== quantity))
      violations.push({
        rule: 'decision and deduction disagree',
        message: `order ${id} is CONFIRMED, and inventory holds ${taken ? `${taken.quantity} ${taken.sku}` : 'nothing'} for it`,
        orderId: id,
      });
    if (status === 'FAILED' && taken)
      violations.push({
        rule: 'decision and deduction disagree',
        message: `order ${id} FAILED, and inventory still holds ${taken.quantity} ${taken.sku} for it`,
        orderId: id,
      });
  }
  return violations;
}

function auditStock({ initialStock, stock, orders }: Snapshot): Violation[] {
  const confirmed = new Map<string, number>();
  for (const { status, sku, quantity } of orders)
    if (status === 'CONFIRMED') confirmed.set(sku, (confirmed.get(sku) ?? 0) + quantity);
  const available = new Map(stock.map((item) => [item.sku, item.available]));
  return [...initialStock].flatMap(([sku, initial]) => {
    const left = available.get(sku) ?? 0;
    const sold = confirmed.get(sku) ?? 0;
    if (initial === left + sold) return [];
    return [
      {
        rule: 'stock does not add up',
        message: `${sku}: initially ${initial}, now ${left} available and ${sold} in confirmed orders: ${left + sold - initial} too many`,
      },
    ];
  });
}

/** An order exists if and only if its event does. */
function auditAtomicity({ orders, events }: Snapshot): Violation[] {
  const created = new Map<string, EventRow[]>();
  for (const event of events)
    if (event.type === 'order.created') created.set(event.order_id, [...(created.get(event.order_id) ?? []), event]);
  const violations: Violation[] = [];
  for (const { id } of orders) {
    const count = created.get(id)?.length ?? 0;
    created.delete(id);
    if (count !== 1)
      violations.push({
        rule: 'order and event are not atomic',
        message: `order ${id} has ${count} events order.created`,
        orderId: id,
      });
  }
  for (const [orderId, [event]] of created)
    violations.push({
      rule: 'order and event are not atomic',
      message: `an event order.created exists, and its order ${orderId} does not`,
      orderId,
      ...(event && { eventId: event.id }),
    });
  return violations;
}

/**
 * An order fails because it was given up in one transaction with its order.cancelled: one. Each deduction that came after an
 * order had failed records another.
 */
function auditCancellations({ orders, events }: Snapshot): Violation[] {
  const cancelled = countByOrder(events, ({ type }) => type === 'order.cancelled');
  const deducted = countByOrder(events, ({ type, status }) => type === 'inventory.deducted' && status === 'consumed');
  return orders.flatMap((order): Violation[] => {
    const { id, status, reason } = order;
    const count = cancelled.get(id) ?? 0;
    const expected = status === 'FAILED' ? Number(isGivenUp(order)) + (deducted.get(id) ?? 0) : 0;
    if (count === expected) return [];
    return [
      {
        rule: 'order and event are not atomic',
        message: `order ${id} is ${status} (${reason ?? 'no reason'}) and has ${count} events order.cancelled instead of ${expected}`,
        orderId: id,
      },
    ];
  });
}

function countByOrder(events: readonly EventRow[], isCounted: (event: EventRow) => boolean): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of events) if (isCounted(event)) counts.set(event.order_id, (counts.get(event.order_id) ?? 0) + 1);
  return counts;
}

function auditEvents({ events }: Snapshot): Violation[] {
  return events.flatMap(
    ({
      app,
      id,
      type,
      status,
      is_due: isDue,
      is_overdue: isOverdue,
      is_compensated: isCompensated,
      reason,
      order_id: orderId,
    }): Violation[] => {
      const event = `${type} ${id} of ${app}`;
      const ids = { eventId: id, orderId };
      if ((status !== 'consumed' && status !== 'dead') || isDue)
        return [
          {
            rule: 'event has no end',
            message: `${event} is ${status}${isOverdue ? ', and past due' : ''}${reason ? `: ${reason}` : ''}`,
            ...ids,
          },
        ];
      if (status === 'dead' && !isCompensated)
        return [
          {
            rule: 'dead event was not compensated',
            message: `${event} is dead, and nothing undoes it: ${reason ?? 'no reason'}`,
            ...ids,
          },
        ];
      return [];
    },
  );
}

function auditHandlings({ handlings }: Snapshot): Violation[] {
  return handlings.flatMap(
    ({ app, event_id: eventId, type, status, is_due: isDue, reason, body_start: bodyStart }): Violation[] => {
      if (status === 'failed' || isDue)
        return [
          {
            rule: 'handling has no end',
            message: `${type} ${eventId} is ${status} in the inbox of ${app}: ${reason ?? ''}`,
            eventId,
          },
        ];
      if (bodyStart !== null && !bodyStart.includes(JUNK))
        return [
          {
            rule: 'genuine message was parked',
            message: `${app} parked ${bodyStart}: ${reason ?? ''}`,
            eventId,
          },
        ];
      return [];
    },
  );
}

function auditQueues({ queues }: Snapshot): Violation[] {
  return queues.flatMap(({ name, messages, consumers }): Violation[] => {
    if (QUEUES.kept.includes(name)) return [];
    if (!QUEUES.consumed.includes(name) || consumers === 0)
      return [
        { rule: 'queue nobody owns', message: `queue ${name} has ${consumers} consumers and ${messages} messages` },
      ];
    return messages === 0 ? [] : [{ rule: 'message left behind', message: `queue ${name} holds ${messages} messages` }];
  });
}

function requestKey({ sku, quantity }: { readonly sku: string; readonly quantity: number }): string {
  return `${quantity} ${sku}`;
}
