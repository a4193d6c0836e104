import type { EventDetail, FailureGroup, Handling, Queue, Source } from '../../libs/reliable-mq/src/console/api';

const MINUTE_MS = 60_000;

let now = Date.now();

/** From here on. What happens at one moment has one time, however long it takes to write it down: steps are told in their order. */
export function beginFixtures(): void {
  now = Date.now();
}

/** @returns so many minutes before the fixtures began, as the API writes times */
export function ago(minutes: number): string {
  return new Date(now - minutes * MINUTE_MS).toISOString();
}

export function idOf(number: number): string {
  return `01939f00-0000-7000-8000-${number.toString().padStart(12, '0')}`;
}

export const SOURCES: readonly Source[] = [
  { name: 'order', database: 'postgres', isOwn: true },
  { name: 'inventory', database: 'mariadb', isOwn: false },
];

/** What nobody should be able to do with a reason, a key or a payload. */
export const HOSTILE = {
  key: '<img src=x onerror="window.hacked=1">',
  reason: `<script>window.hacked=1</script>\u0000\u001b[31m\u202egnp.exe ${'very long '.repeat(500)}end`,
  payload: { html: '</pre><script>window.hacked=1</script>', bell: '\u0007', long: 'x'.repeat(20_000) },
} as const;

const OUT_OF_STOCK = 'OutOfStockError: 3 of SKU-7 wanted, 1 left';

export function event(number: number, of: Partial<EventDetail> = {}): EventDetail {
  const minutes = of.createdAt === undefined ? 30 + number : 0;
  return {
    source: 'order',
    id: idOf(number),
    type: 'order.created',
    version: 1,
    key: `A-${1_000 + number}`,
    status: 'consumed',
    attempts: 1,
    redrives: 0,
    reason: null,
    consumers: ['inventory'],
    createdAt: ago(minutes),
    publishedAt: ago(minutes - 0.01),
    endedAt: ago(minutes - 0.05),
    dueAt: null,
    compensatedAt: null,
    archivedAt: null,
    payload: { orderId: `A-${1_000 + number}`, sku: 'SKU-7', quantity: 3 },
    isRedacted: false,
    headers: {
      'x-correlation-id': `request-${number}`,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
    history: [],
    outcomes: [{ consumer: 'inventory', outcome: 'handled', at: ago(minutes - 0.05) }],
    causationId: null,
    compensationAttempts: 0,
    ...of,
  };
}

function dead(number: number, of: Partial<EventDetail> = {}): EventDetail {
  return event(number, {
    status: 'dead',
    attempts: 10,
    reason: OUT_OF_STOCK,
    outcomes: [{ consumer: 'inventory', outcome: 'dead', reason: OUT_OF_STOCK, at: ago(20) }],
    ...of,
  });
}

/** One order that went well (1), one that died and was compensated (2), a hostile one (3), one that waits (4), a redacted one (5), and many dead ones. */
export function events(): EventDetail[] {
  return [
    event(1, {
      createdAt: ago(12),
      publishedAt: ago(11.9),
      endedAt: ago(10),
      attempts: 2,
      history: [{ attempt: 1, at: ago(11.95), reason: 'no queue is bound for order.created' }],
      outcomes: [
        { consumer: 'inventory', outcome: 'handled', at: ago(10) },
        { consumer: 'analytics', outcome: 'retrying', reason: 'ETIMEDOUT', at: ago(11) },
        { consumer: 'analytics', outcome: 'handled', at: ago(10.5) },
      ],
    }),
    event(11, {
      source: 'inventory',
      type: 'inventory.deducted',
      key: 'A-1001',
      consumers: ['order'],
      causationId: idOf(1),
      createdAt: ago(10.1),
      publishedAt: ago(10),
      endedAt: ago(9.5),
      outcomes: [{ consumer: 'order', outcome: 'handled', at: ago(9.5) }],
    }),
    dead(2, { createdAt: ago(25), endedAt: ago(20), compensatedAt: ago(19.5), compensationAttempts: 1 }),
    event(12, {
      type: 'order.cancelled',
      key: 'A-1002',
      causationId: idOf(2),
      status: 'published',
      createdAt: ago(19.5),
      publishedAt: ago(19.4),
      endedAt: null,
      dueAt: ago(-1),
      outcomes: [],
    }),
    dead(3, { key: HOSTILE.key, reason: HOSTILE.reason, payload: HOSTILE.payload }),
    event(4, {
      status: 'pending',
      createdAt: ago(5),
      publishedAt: null,
      endedAt: null,
      dueAt: ago(4),
      outcomes: [],
      reason: 'connection closed',
    }),
    dead(5, { isRedacted: true, payload: { orderId: 'A-1005', card: '***' } }),
    ...Array.from({ length: 60 }, (_, index) => dead(100 + index)),
  ];
}

export function handlings(): Handling[] {
  const handling = (of: Partial<Handling> & Pick<Handling, 'eventId' | 'consumer'>): Handling => ({
    source: 'inventory',
    type: 'order.created',
    version: 1,
    status: 'handled',
    key: null,
    attempts: 1,
    reason: null,
    history: [],
    receivedAt: ago(11.8),
    endedAt: ago(10),
    dueAt: null,
    ...of,
  });
  return [
    handling({
      eventId: idOf(1),
      consumer: 'inventory',
      key: 'A-1001',
      attempts: 3,
      history: [
        { attempt: 1, at: ago(11.8), reason: 'QueryFailedError: deadlock detected' },
        { attempt: 2, at: ago(10.9), reason: 'QueryFailedError: deadlock detected' },
      ],
    }),
    handling({
      source: 'order',
      eventId: idOf(11),
      type: 'inventory.deducted',
      consumer: 'order',
      key: 'A-1001',
      receivedAt: ago(9.9),
      endedAt: ago(9.5),
    }),
    handling({
      source: 'order',
      eventId: idOf(40),
      type: 'inventory.deducted',
      consumer: 'order',
      key: 'A-1040',
      status: 'dead',
      attempts: 8,
      reason: 'TypeError: Cannot read properties of undefined (reading "sku")',
      endedAt: ago(9),
    }),
    handling({
      source: 'order',
      eventId: idOf(41),
      type: 'inventory.deducted',
      consumer: 'order',
      key: 'A-1041',
      status: 'failed',
      attempts: 2,
      reason: 'ETIMEDOUT',
      endedAt: null,
      dueAt: ago(-2),
    }),
  ];
}

export function queues(): Queue[] {
  return [
    {
      source: 'order',
      name: 'order.inventory.deducted',
      consumer: 'order',
      type: 'inventory.deducted',
      isOwn: true,
      messages: 12,
      consumers: 2,
      unfinished: 3,
      overdueMs: 0,
    },
    {
      source: 'order',
      name: 'order.audit.inventory.deducted',
      consumer: 'order.audit',
      type: 'inventory.deducted',
      isOwn: true,
      messages: 4_200,
      consumers: 0,
      unfinished: 1_000,
      overdueMs: 400_000,
    },
    {
      name: 'inventory.order.created',
      consumer: 'inventory',
      type: 'order.created',
      isOwn: false,
      messages: 0,
      consumers: 2,
    },
    {
      name: 'inventory.order.cancelled',
      consumer: 'inventory',
      type: 'order.cancelled',
      isOwn: false,
      problem: 'no such queue',
    },
  ];
}

export function deadEvents(): FailureGroup[] {
  const seen = { firstSeen: ago(180), lastSeen: ago(3) };
  return [
    {
      fingerprint: 'f1',
      text: 'OutOfStockError: not enough of <text>',
      where: 'StockService.deduct (stock.service.ts:41)',
      count: 61,
      types: ['order.created'],
      ...seen,
      example: { eventId: idOf(100), reason: OUT_OF_STOCK },
    },
    {
      fingerprint: 'f2',
      text: '<b>hostile</b> at x',
      where: null,
      count: 1,
      types: ['order.created'],
      ...seen,
      example: { eventId: idOf(3), reason: null },
    },
  ];
}

export function failedHandlings(): FailureGroup[] {
  return [
    {
      fingerprint: 'f3',
      text: 'TypeError: Cannot read properties of undefined',
      where: 'OrderService.confirm (order.service.ts:88)',
      count: 1,
      types: ['inventory.deducted'],
      firstSeen: ago(180),
      lastSeen: ago(3),
      example: { eventId: idOf(40), reason: 'TypeError: Cannot read properties of undefined' },
    },
  ];
}
