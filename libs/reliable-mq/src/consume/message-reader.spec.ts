import { IsString } from 'class-validator';
import { HEADER } from '../domain/message-headers';
import type { StoreSet } from '../stores/stores';
import type { QueueHandlers } from './handler-registry';
import { fromInbox, type RawMessage, readMessage } from './message-reader';

class Greeting {
  @IsString() text!: string;
}

function queueOf(...versions: number[]): QueueHandlers {
  const stores = { name: 'default' } as StoreSet;
  const handlerOf = (version: number) => ({
    consumer: 'hall',
    eventType: { type: 'greeting', version, eventClass: Greeting, consumers: [], confirm: true, giveUp: {} },
    stores,
    label: 'Hall#greet',
    prefetch: 1,
    timeoutMs: 1,
    maxAttempts: 1,
    backoff: { initialMs: 1, maxMs: 1, jitter: 0 },
    shareCommits: false,
    invoke: () => Promise.resolve(),
  });
  const byVersion = new Map(versions.map((version) => [version, handlerOf(version)]));
  return { queue: 'hall.greeting', consumer: 'hall', type: 'greeting', byVersion, prefetch: 1, stores };
}

const ID = '0198c0de-1111-7000-8000-000000000001';

function raw(overrides: Partial<RawMessage> = {}): RawMessage {
  return {
    body: Buffer.from('{"text":"hi"}'),
    messageId: ID,
    type: 'greeting',
    contentEncoding: undefined,
    replyTo: undefined,
    appId: undefined,
    headers: {},
    routingKey: 'greeting',
    ...overrides,
  };
}

async function reasonOf(message: RawMessage, queue = queueOf(1), maxBytes = 1_000): Promise<string | undefined> {
  const reading = await readMessage(message, queue, maxBytes);
  return reading.kind === 'unreadable' ? reading.reason : undefined;
}

async function parkingIdOf(message: RawMessage, queue = queueOf(1)): Promise<string | undefined> {
  const reading = await readMessage(message, queue, 1_000);
  return reading.kind === 'unreadable' ? reading.parkingId : undefined;
}

describe('readMessage', () => {
  it.each([
    ['a number', 2, 2],
    ['a text of digits', '2', 2],
    ['nothing, where version 1 is handled', undefined, 1],
  ])('takes the version from %s', async (_, header, version) => {
    const reading = await readMessage(raw({ headers: { [HEADER.version]: header } }), queueOf(1, 2), 1_000);
    expect(reading).toMatchObject({ kind: 'event', message: { handler: { eventType: { version } } } });
  });

  it('refuses an invalid payload also where the application has put another Promise in place of the global one', async () => {
    const { Promise: own } = globalThis;
    globalThis.Promise = class Other<T> extends own<T> {};
    try {
      await expect(reasonOf(raw({ body: Buffer.from('{"text":1}') }))).resolves.toContain('text must be a string');
    } finally {
      globalThis.Promise = own;
    }
  });

  it('takes the lowest version that is handled for a message without one', async () => {
    const reading = await readMessage(raw(), queueOf(4, 3), 1_000);
    expect(reading).toMatchObject({ kind: 'event', message: { handler: { eventType: { version: 3 } } } });
  });

  it.each([0, -1, 1.5, '1.5', 'one', '', null, true, 2 ** 31, Number.NaN, {}, [1]])(
    'does not take %j for a version',
    async (header) => {
      await expect(reasonOf(raw({ headers: { [HEADER.version]: header } }))).resolves.toContain(
        'not a whole number from 1',
      );
    },
  );

  it.each([
    ['too long', 'x'.repeat(256), 'longer than 255 characters'],
    ['with half a surrogate pair', 'a\ud800', 'no database stores'],
    ['empty', '', 'has no messageId'],
    ['whose bytes were not UTF-8', 'order-\ufffd', 'bytes that are not UTF-8 (U+FFFD)'],
  ])('refuses a messageId %s', async (_, messageId, reason) => {
    await expect(reasonOf(raw({ messageId }))).resolves.toContain(reason);
  });

  it('counts the bytes before it parses', async () => {
    await expect(reasonOf(raw(), queueOf(1), 5)).resolves.toContain('more than consume.maxMessageBytes (5)');
  });

  it('answers only messages of our own producers', async () => {
    const own = { messageId: ID, replyTo: 'receipts', headers: { [HEADER.source]: 'default' } };
    const address = async (message: Partial<RawMessage>): Promise<unknown> => {
      const reading = await readMessage(raw(message), queueOf(1), 1_000);
      return reading.kind === 'event' ? reading.message.receiptAddress : reading.envelope.receiptAddress;
    };
    await expect(address(own)).resolves.toMatchObject({ queue: 'receipts', source: 'default', eventId: ID });
    await expect(address({ ...own, replyTo: undefined })).resolves.toBeUndefined();
    await expect(address({ ...own, messageId: 'no uuid' })).resolves.toBeUndefined();
    await expect(address({ ...own, headers: {} })).resolves.toBeUndefined();
    await expect(address({ ...own, headers: { [HEADER.source]: 7 } })).resolves.toBeUndefined();
  });

  it('gives equal unreadable messages one parking id, and others another', async () => {
    const broken = raw({ body: Buffer.from('{') });
    const id = await parkingIdOf(broken);
    expect(id).toMatch(/^sha256:/);
    await expect(parkingIdOf({ ...broken })).resolves.toBe(id);
    const other = { ...queueOf(1), type: 'farewell' };
    const different = await Promise.all([
      parkingIdOf({ ...broken, messageId: 'another' }),
      parkingIdOf({ ...broken, body: Buffer.from('{"') }),
      parkingIdOf({ ...broken, type: 'farewell' }),
      parkingIdOf(broken, other),
    ]);
    expect(new Set([id, ...different]).size).toBe(5);
  });
});

describe('fromInbox', () => {
  it('gives a message back as it came, as far as it matters for handling it', async () => {
    const message = raw({
      replyTo: 'receipts',
      appId: 'office',
      headers: { tenant: 'north', [HEADER.source]: 'default' },
    });
    const queue = queueOf(1);
    const first = await readMessage(message, queue, 1_000);
    if (first.kind !== 'event') throw new Error('unreadable');
    const { body, properties, type } = first.message.stored;
    const stored = JSON.parse(JSON.stringify(properties)) as Record<string, unknown>;
    const again = await readMessage(fromInbox({ body, properties: stored, type }, ID), queue, 1_000);
    expect(again).toEqual(first);
  });

  it('survives properties that are not what they should be', () => {
    const properties = { headers: 'none', replyTo: 7, appId: null };
    expect(fromInbox({ body: Buffer.alloc(0), properties, type: 'greeting' }, ID)).toMatchObject({
      headers: {},
      replyTo: undefined,
      appId: undefined,
      routingKey: 'greeting',
    });
  });
});
