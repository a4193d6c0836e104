import { randomUUID } from 'node:crypto';
import { type ConfirmChannel, connect, type Options } from 'amqplib';
import { JUNK } from '../audit/audit';
import { pause } from '../clock';
import type { AppName } from '../instance';
import { type FaultKind, FaultMissed, type World } from './fault';

const EXCHANGE = 'reliable-mq';
const QUEUE = 'inventory.order.created';
const CONNECT_ATTEMPTS = 40;

export const MESSAGE_FAULTS: readonly FaultKind[] = [
  {
    name: 'messages duplicated',
    family: 'message',
    lane: 'messages',
    seconds: 1,
    inject: async (world, random) =>
      withChannel(world, async (channel) => {
        const app = random.pick(['order', 'inventory'] as const);
        const events = await someEvents(world, app, 40);
        for (const event of [...events, ...events]) publish(channel, event);
        return `${events.length} of ${app}, twice more`;
      }),
  },
  {
    name: 'messages reordered',
    family: 'message',
    lane: 'inventory',
    seconds: 4,
    inject: async (world) => {
      const consumers = world.landscape.of('inventory');
      for (const consumer of consumers) consumer.signal('SIGSTOP');
      try {
        await pause(1_500);
        return await withChannel(world, reverseQueue);
      } finally {
        for (const consumer of consumers) consumer.signal('SIGCONT');
      }
    },
  },
  {
    name: 'foreign messages',
    family: 'message',
    lane: 'messages',
    seconds: 1,
    inject: async (world, random) =>
      withChannel(world, async (channel) => {
        const body = Buffer.from(JSON.stringify({ [JUNK]: true, invoice: random.integer(1, 1e9) }));
        channel.publish('', QUEUE, body, {});
        channel.publish('', QUEUE, body, { messageId: 'invoice-1', type: 'invoice.sent', appId: 'billing' });
        channel.publish('', QUEUE, body, { messageId: `invoice-${random.integer(1, 1e9)}`, type: 'order.created' });
        channel.publish(EXCHANGE, 'order.created', body, {
          headers: { 'reliable-mq-version': 'one' },
          messageId: 'x',
          type: 'order.created',
        });
        channel.publish('', 'order.receipts.quorum', body, {});
        return '4 to a queue of events, 1 to a queue of receipts';
      }),
  },
  {
    name: 'malformed messages',
    family: 'message',
    lane: 'messages',
    seconds: 1,
    inject: async (world, random) =>
      withChannel(world, async (channel) => {
        const bodies = [
          Buffer.from(`{"${JUNK}":`),
          Buffer.from([...Buffer.from(JUNK), 0xff, 0xfe, random.integer(0, 255)]),
          Buffer.from(`"${JUNK}"`),
          Buffer.from(`["${JUNK}",${'['.repeat(5_000)}`),
        ];
        for (const body of bodies) channel.publish('', QUEUE, body, genuineLooking(randomUUID()));
        channel.publish('', QUEUE, Buffer.from(`{"${JUNK}":1}`), {
          ...genuineLooking(randomUUID()),
          contentEncoding: 'gzip',
        });
        channel.publish('', 'order.receipts.quorum', Buffer.from('{"receipts":[{"eventId":1},null,[]]}'), {
          type: 'reliable-mq.receipts',
        });
        channel.publish('', 'order.receipts.quorum', Buffer.from([0xff]), { type: 'reliable-mq.receipts' });
        return `${bodies.length + 1} to a queue of events, 2 to a queue of receipts`;
      }),
  },
  {
    name: 'oversized message',
    family: 'message',
    lane: 'messages',
    seconds: 1,
    inject: async (world, random) =>
      withChannel(world, async (channel) => {
        const bytes = random.integer(70_000, 3_000_000);
        const body = Buffer.from(JSON.stringify({ [JUNK]: 'x'.repeat(bytes) }));
        channel.publish('', QUEUE, body, genuineLooking(randomUUID()));
        return `${body.length} bytes`;
      }),
  },
  {
    name: 'messages with a forged id',
    family: 'message',
    lane: 'messages',
    seconds: 1,
    inject: async (world, random) =>
      withChannel(world, async (channel) => {
        const events = await someEvents(world, 'order', 10, `AND status = 'consumed' AND type = 'order.created'`);
        // An id that was handled, with another order's content: absorbed, whatever it says. It may not act on that order.
        for (const [index, event] of events.entries()) {
          const other = events[(index + 1) % events.length] ?? event;
          publish(channel, { ...event, payload: other.payload });
        }
        // A genuine order's content under an id of its own: the order's deduction exists, and nothing is taken twice.
        for (const event of events.slice(0, 3)) publish(channel, { ...event, id: `forged-${random.integer(1, 1e9)}` });
        channel.publish('', QUEUE, Buffer.from(`{"${JUNK}":1}`), {
          ...genuineLooking('x'.repeat(250)),
          messageId: `${JUNK}-\u0000`,
        });
        return `${events.length} with another’s id, 3 with an id of their own`;
      }),
  },
];

interface StoredEvent {
  readonly app: AppName;
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: string;
}

/** Recent events that were published, as the library puts them on the wire. */
async function someEvents({ landscape }: World, app: AppName, count: number, further = ''): Promise<StoredEvent[]> {
  const rows = await landscape.query<Omit<StoredEvent, 'app'>>(
    app,
    `SELECT id, type, version, payload FROM reliable_mq_outbox
     WHERE published_at IS NOT NULL ${further} ORDER BY id DESC LIMIT $1`,
    [count],
  );
  if (rows.length === 0) throw new FaultMissed(`${app} has published nothing yet`);
  return rows.map((row) => ({ app, ...row }));
}

function publish(channel: ConfirmChannel, { app, id, type, version, payload }: StoredEvent): void {
  channel.publish(EXCHANGE, type, Buffer.from(payload), {
    messageId: id,
    type,
    appId: app,
    replyTo: `${app}.receipts.quorum`,
    deliveryMode: 2,
    contentType: 'application/json',
    headers: { 'reliable-mq-version': version, 'reliable-mq-source': 'default', 'reliable-mq-attempt': 1 },
  });
}

/** The properties of an order.created, for a body that is none. */
function genuineLooking(messageId: string): Options.Publish {
  return {
    messageId,
    type: 'order.created',
    appId: 'order',
    replyTo: 'order.receipts.quorum',
    deliveryMode: 2,
    headers: { 'reliable-mq-version': 1, 'reliable-mq-source': 'default', 'reliable-mq-attempt': 1 },
  };
}

async function reverseQueue(channel: ConfirmChannel): Promise<string> {
  const taken = [];
  for (let next = await channel.get(QUEUE); next && taken.length < 200; next = await channel.get(QUEUE))
    taken.push(next);
  for (const { content, properties } of [...taken].reverse())
    channel.sendToQueue(QUEUE, content, { ...(properties as Options.Publish), deliveryMode: 2 });
  await channel.waitForConfirms();
  for (const message of taken) channel.ack(message);
  return `${taken.length} messages, last first`;
}

/** Something else may be done to the broker at the moment: tried again for a while. */
async function withChannel(world: World, work: (channel: ConfirmChannel) => Promise<string>): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const connection = await connect(world.landscape.node().url);
      connection.on('error', () => undefined);
      try {
        const channel = await connection.createConfirmChannel();
        channel.on('error', () => undefined);
        const done = await work(channel);
        await channel.waitForConfirms();
        return done;
      } finally {
        await connection.close().catch(() => undefined);
      }
    } catch (error) {
      if (attempt === CONNECT_ATTEMPTS)
        throw error instanceof FaultMissed ? error : new FaultMissed(`the broker was not there: ${String(error)}`);
      await pause(1_000);
    }
  }
}
