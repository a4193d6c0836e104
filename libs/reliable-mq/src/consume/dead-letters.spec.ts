import { Logger } from '@nestjs/common';
import type { Delivery, IncomingMessage, PublishOutcome, QueueState } from '../broker/transport';
import { toIncomingMessage } from '../broker/incoming-message';
import { HookRunner } from '../event/hook-runner';
import type { Consumer } from './consumer';
import { DeadLetters, type DeadLettersParts } from './dead-letters';

const QUEUE = 'stock.order.created';
const HOUR_MS = 3_600_000;

const death = (more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> => ({
  'x-death': [
    {
      queue: QUEUE,
      reason: 'expired',
      time: { '!': 'timestamp', value: Math.floor(Date.now() / 1000) },
      'routing-keys': ['order.created'],
      ...more,
    },
  ],
});

/** One look through a parking queue with these messages, in order. */
async function look(
  messages: readonly Readonly<Record<string, unknown>>[],
  script: { readonly state?: QueueState; readonly routed?: (id: string) => boolean; readonly problem?: string } = {},
) {
  const warn = jest.fn();
  Logger.overrideLogger({ warn, log: jest.fn(), error: jest.fn() });
  const acknowledged: string[] = [];
  const published: Readonly<Record<string, unknown>>[] = [];
  const taken: { readonly message: IncomingMessage; readonly asideFor: string | undefined }[] = [];
  const hooks: unknown[] = [];
  const waiting = [...messages];
  const consumer = {
    queue: { queue: QUEUE, consumer: 'stock', type: 'order.created' },
    take: async ({ message, ack }: Delivery, asideFor?: string) => {
      taken.push({ message, asideFor });
      ack();
    },
  } as unknown as Consumer;
  const transport: DeadLettersParts['transport'] = {
    status: () => ({ available: true }),
    queueState: async () => ('state' in script ? script.state : { messages: messages.length, consumers: 0 }),
    read: () => ({
      problem: script.problem,
      next: async () => {
        const properties = waiting.shift();
        if (!properties) return undefined;
        const raw = { body: Buffer.from('{}'), properties, routingKey: 'stock.parked' };
        const message = toIncomingMessage('stock.parked', raw, false);
        return { message, ack: () => acknowledged.push(message.messageId ?? '') };
      },
      close: async () => undefined,
    }),
    publish: ({ messageId, properties }, done) => {
      const isRouted = script.routed?.(messageId) ?? true;
      if (isRouted) published.push({ ...properties });
      const outcome: PublishOutcome = isRouted ? { status: 'routed' } : { status: 'refused', reason: 'full' };
      setImmediate(() => done(outcome));
    },
  };
  const deadLetters = new DeadLetters(
    'stock',
    { copied: 0 },
    {
      transport,
      hooks: new HookRunner([{ deadLettered: (message) => hooks.push(message) }]),
      find: (queue) => (queue === QUEUE ? consumer : undefined),
      inboxMs: 10 * HOUR_MS,
    },
  );
  deadLetters.start();
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
  await deadLetters.stop();
  return { acknowledged, published, taken, hooks, warned: warn.mock.calls.map(([line]) => String(line)) };
}

describe('DeadLetters', () => {
  it("hands what died in a queue to its consumer, as that queue's, and tells when it is taken over", async () => {
    const { taken, acknowledged, published, hooks, warned } = await look([{ messageId: 'a', headers: death() }]);
    expect(taken).toMatchObject([
      {
        message: { messageId: 'a', queue: QUEUE, routingKey: 'order.created', redelivered: true },
        asideFor: undefined,
      },
    ]);
    expect(acknowledged).toEqual(['a']);
    expect(published).toEqual([]);
    expect(hooks).toEqual([{ queue: QUEUE, consumer: 'stock', messageId: 'a', reason: 'expired' }]);
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatch(/^The broker had dead-lettered a message; .*"eventId":"a"/);
  });

  it('has what its publisher let expire put aside', async () => {
    const { taken } = await look([{ messageId: 'a', headers: death({ 'original-expiration': '50' }) }]);
    expect(taken[0]?.asideFor).toMatch(/^its publisher wanted it to live for 50 ms only/);
  });

  it('puts everything else back as it was, and acknowledges it then', async () => {
    const copy = { messageId: 'a', correlationId: 'c', headers: { tenant: 'acme', 'x-delivery-count': 3 } };
    const { acknowledged, published, hooks, warned } = await look([copy]);
    expect(published).toEqual([{ messageId: 'a', correlationId: 'c', headers: { tenant: 'acme' } }]);
    expect(acknowledged).toEqual(['a']);
    expect([hooks, warned]).toEqual([[], []]);
  });

  it.each([
    ['would be refused as somebody else’s', { userId: 'legacy' }],
    ['would be sent on', { headers: { CC: ['elsewhere'] } }],
  ])('gives back what %s', async (_, properties) => {
    const { acknowledged, published } = await look([{ messageId: 'a', ...properties }]);
    expect([acknowledged, published]).toEqual([[], []]);
  });

  it('finds what died behind copies that the full queue does not take again, and gives those back', async () => {
    const copies = Array.from({ length: 30 }, (_, index) => ({ messageId: `copy ${index}` }));
    let refusals = 0;
    const routed = (): boolean => {
      refusals += 1;
      return false;
    };
    const { acknowledged, taken } = await look([...copies, { messageId: 'died', headers: death() }], { routed });
    expect(taken).toHaveLength(1);
    expect(acknowledged).toEqual(['died']);
    expect(refusals).toBeLessThanOrEqual(10);
  });

  it('leaves what is too old and what nobody here handles, and says so', async () => {
    const old = death({ time: { '!': 'timestamp', value: Math.floor((Date.now() - 9.1 * HOUR_MS) / 1000) } });
    const timeless = death({ time: undefined });
    const { taken, acknowledged, warned } = await look([
      { messageId: 'old', headers: old },
      { messageId: 'timeless', headers: timeless },
      { messageId: 'foreign', headers: death({ queue: 'stock.order.cancelled' }) },
    ]);
    expect(taken).toEqual([]);
    expect(acknowledged).toEqual(['old', 'timeless', 'foreign']);
    expect(warned).toEqual([
      expect.stringMatching(/^Messages stay in a parking queue .*"tooOld":2,"withoutHandler":1/),
    ]);
  });

  it.each<[string, QueueState]>([
    ['somebody consumes', { messages: 1, consumers: 1 }],
    ['does not exist', 'no-queue'],
    ['the broker says nothing of', undefined],
    ['is empty', { messages: 0, consumers: 0 }],
  ])('looks through no queue that %s', async (_, state) => {
    const { acknowledged, published } = await look([{ messageId: 'a', headers: death() }], { state });
    expect([acknowledged, published]).toEqual([[], []]);
  });

  it('says that it cannot read', async () => {
    const { warned } = await look([], { state: { messages: 1, consumers: 0 }, problem: 'ACCESS_REFUSED' });
    expect(warned).toEqual([expect.stringMatching(/^A parking queue cannot be looked through: .*ACCESS_REFUSED/)]);
  });
});
