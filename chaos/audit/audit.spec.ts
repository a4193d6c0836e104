import type { OrderRequest } from '../load';
import { audit, QUEUES, type Rule } from './audit';
import type { EventRow, Snapshot } from './snapshot';

const accepted: OrderRequest = { sku: 'plenty-1', quantity: 3, answer: 'accepted', orderId: 'o1', sentAt: 0 };
const failed: OrderRequest = { sku: 'scarce-1', quantity: 9, answer: 'accepted', orderId: 'o2', sentAt: 0 };
const unknown: OrderRequest = { sku: 'plenty-1', quantity: 4, answer: 'unknown', sentAt: 0 };
const refused: OrderRequest = { sku: 'plenty-1', quantity: 5, answer: 'refused', problem: 'ECONNREFUSED', sentAt: 0 };

const event = (app: 'order' | 'inventory', id: string, type: string, orderId: string): EventRow => ({
  app,
  id,
  type,
  order_id: orderId,
  status: 'consumed',
  is_due: false,
  is_overdue: false,
  is_compensated: false,
  reason: null,
});

/** Two decided orders, a request that left nothing, and one whose answer was lost before the commit. */
function quiet(): Mutable<Snapshot> {
  return {
    requests: [accepted, failed, unknown, refused],
    initialStock: new Map([
      ['plenty-1', 100],
      ['scarce-1', 5],
    ]),
    orders: [
      { id: 'o1', sku: 'plenty-1', quantity: 3, status: 'CONFIRMED', reason: null },
      { id: 'o2', sku: 'scarce-1', quantity: 9, status: 'FAILED', reason: 'not enough stock' },
    ],
    stock: [
      { sku: 'plenty-1', available: 97 },
      { sku: 'scarce-1', available: 5 },
    ],
    deductions: [
      { order_id: 'o1', sku: 'plenty-1', quantity: 3, state: 'TAKEN' },
      { order_id: 'o2', sku: 'scarce-1', quantity: 9, state: 'REFUSED' },
    ],
    events: [
      event('order', 'e1', 'order.created', 'o1'),
      event('order', 'e2', 'order.created', 'o2'),
      event('inventory', 'e3', 'inventory.deducted', 'o1'),
      event('inventory', 'e4', 'inventory.deduction-failed', 'o2'),
    ],
    handlings: [
      {
        app: 'inventory',
        event_id: 'e1',
        type: 'order.created',
        status: 'handled',
        is_due: false,
        reason: null,
        body_start: null,
      },
    ],
    queues: QUEUES.consumed.map((name) => ({ name, messages: 0, consumers: 2 })),
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };
type Doctor = (state: Mutable<Snapshot>) => void;

const rulesOf = (doctor: Doctor): Rule[] => {
  const state = quiet();
  doctor(state);
  return audit(state).map(({ rule }) => rule);
};

describe('the audit', () => {
  it('finds nothing in a state in which every promise is kept', () => {
    expect(audit(quiet())).toEqual([]);
  });

  it('accepts an order whose answer was lost after its commit', () => {
    const doctored = rulesOf((state) => {
      state.orders = [...state.orders, { id: 'o3', sku: 'plenty-1', quantity: 4, status: 'CONFIRMED', reason: null }];
      state.events = [...state.events, event('order', 'e5', 'order.created', 'o3')];
      state.deductions = [...state.deductions, { order_id: 'o3', sku: 'plenty-1', quantity: 4, state: 'TAKEN' }];
      state.stock = [{ sku: 'plenty-1', available: 93 }, ...state.stock.slice(1)];
    });
    expect(doctored).toEqual([]);
  });

  it('accepts a dead event that was compensated', () => {
    const doctored = rulesOf((state) => {
      state.events = state.events.map((row) =>
        row.id === 'e2' ? { ...row, status: 'dead', is_compensated: true } : row,
      );
    });
    expect(doctored).toEqual([]);
  });

  /** o2 was given up instead of refused. */
  const giveUp = (state: Mutable<Snapshot>): void => {
    state.orders = state.orders.map((row) => (row.id === 'o2' ? { ...row, reason: 'given up: no receipt' } : row));
    state.events = state.events.map((row) =>
      row.id === 'e2' ? { ...row, status: 'dead', is_compensated: true } : row,
    );
  };
  const cancelled = event('order', 'e5', 'order.cancelled', 'o2');

  it('accepts an order that was given up, and whose stock was taken and given back afterwards', () => {
    const doctored = rulesOf((state) => {
      giveUp(state);
      state.events = [
        ...state.events,
        cancelled,
        event('inventory', 'e6', 'inventory.deducted', 'o2'),
        { ...cancelled, id: 'e7' },
      ];
      state.deductions = state.deductions.map((row) => (row.order_id === 'o2' ? { ...row, state: 'CANCELLED' } : row));
    });
    expect(doctored).toEqual([]);
  });

  const doctored: readonly [what: string, rule: Rule, doctor: Doctor][] = [
    ['an accepted order that does not exist', 'accepted order is lost', (s) => void (s.orders = s.orders.slice(1))],
    [
      'an order that is still pending',
      'order is undecided',
      (s) => void (s.orders = [...s.orders.slice(1), { ...s.orders[0]!, status: 'PENDING' }]),
    ],
    [
      'an order that no client placed',
      'order nobody placed',
      (s) => void (s.orders = [...s.orders, { ...s.orders[0]!, id: 'o9', quantity: 77 }]),
    ],
    [
      'an order of a request that nobody had listened to',
      'refused request left an order',
      (s) => void (s.orders = [...s.orders, { ...s.orders[0]!, id: 'o9', quantity: 5 }]),
    ],
    [
      'two orders of one request',
      'order exists twice',
      (s) => void (s.orders = [...s.orders, { ...s.orders[0]!, id: 'o9' }]),
    ],
    [
      'a deduction for an order that was rolled back',
      'effect without a committed order',
      (s) => void (s.deductions = [...s.deductions, { ...s.deductions[0]!, order_id: 'o9' }]),
    ],
    [
      'a doubled deduction',
      'decision and deduction disagree',
      (s) => void (s.deductions = [...s.deductions, s.deductions[0]!]),
    ],
    [
      'stock taken twice',
      'stock does not add up',
      (s) => void (s.stock = [{ sku: 'plenty-1', available: 94 }, ...s.stock.slice(1)]),
    ],
    [
      'a confirmed order without its stock',
      'decision and deduction disagree',
      (s) => void (s.deductions = s.deductions.slice(1)),
    ],
    [
      'a failed order that holds stock',
      'decision and deduction disagree',
      (s) => void (s.deductions = s.deductions.map((row) => ({ ...row, state: 'TAKEN' }))),
    ],
    ['an order without its event', 'order and event are not atomic', (s) => void (s.events = s.events.slice(1))],
    [
      'an event of an order that was rolled back',
      'order and event are not atomic',
      (s) => void (s.events = [...s.events, event('order', 'e9', 'order.created', 'o9')]),
    ],
    ['an order that was given up, and inventory never hears of it', 'order and event are not atomic', giveUp],
    [
      'an order that was given up twice',
      'order and event are not atomic',
      (s) => {
        giveUp(s);
        s.events = [...s.events, cancelled, { ...cancelled, id: 'e6' }];
      },
    ],
    [
      'a confirmed order that was cancelled',
      'order and event are not atomic',
      (s) => void (s.events = [...s.events, { ...cancelled, order_id: 'o1' }]),
    ],
    [
      'a stuck event',
      'event has no end',
      (s) =>
        void (s.events = s.events.map((row) =>
          row.id === 'e3' ? { ...row, status: 'published', is_due: true, is_overdue: true } : row,
        )),
    ],
    [
      'a published event that nobody will look at again',
      'event has no end',
      (s) => void (s.events = s.events.map((row) => (row.id === 'e3' ? { ...row, status: 'published' } : row))),
    ],
    [
      'a dead event that nothing undoes',
      'dead event was not compensated',
      (s) => void (s.events = s.events.map((row) => (row.id === 'e3' ? { ...row, status: 'dead' } : row))),
    ],
    [
      'a handling that waits for its retry',
      'handling has no end',
      (s) => void (s.handlings = [{ ...s.handlings[0]!, status: 'failed', is_due: true }]),
    ],
    [
      'a parked message that the harness did not make up',
      'genuine message was parked',
      (s) => void (s.handlings = [{ ...s.handlings[0]!, status: 'rejected', body_start: '{"orderId":"o1"}' }]),
    ],
    ['a message that nobody took', 'message left behind', (s) => void (s.queues = [{ ...s.queues[0]!, messages: 1 }])],
    [
      'a queue that nobody knows',
      'queue nobody owns',
      (s) => void (s.queues = [...s.queues, { name: 'stray', messages: 0, consumers: 0 }]),
    ],
    ['a queue that nobody consumes', 'queue nobody owns', (s) => void (s.queues = [{ ...s.queues[0]!, consumers: 0 }])],
  ];

  it.each(doctored)('reports %s', (_, rule, doctor) => {
    expect(rulesOf(doctor)).toContain(rule);
  });
});
