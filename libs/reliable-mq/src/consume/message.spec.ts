import { Transform } from 'class-transformer';
import { IsString, Validate, ValidatorConstraint } from 'class-validator';
import { HEADER } from '../event/message-headers';
import { storableJson } from '../event/storable';
import type { EventClass } from '../event/event-type';
import type { IncomingMessage } from '../broker/transport';
import type { StoreSet } from '../database/stores';
import { toIncomingMessage } from '../broker/incoming-message';
import type { QueueHandlers } from './handler-registry';
import { type Opening, openMessage, openRow, type Reading, readPayload } from './message';

class Greeting {
  @IsString() text!: string;
}

@ValidatorConstraint({ async: true })
class Known {
  static answer: () => Promise<boolean>;

  validate(): Promise<boolean> {
    return Known.answer();
  }
}

class LookedUpGreeting {
  @Validate(Known, { message: 'nobody knows it' }) text!: string;
}

class TransformedGreeting {
  @Transform(({ value }: { value: string }) => value.toUpperCase()) text!: string;
}

@ValidatorConstraint()
class Loud {
  validate(text: string): boolean {
    return text.toUpperCase() === text;
  }
}

class LoudGreeting {
  @Validate(Loud) text!: string;
}

function queueOf(...versions: number[]): QueueHandlers {
  return queueFor(Greeting, ...versions);
}

function queueFor(eventClass: EventClass, ...versions: number[]): QueueHandlers {
  const stores = {
    name: 'default',
    database: { isStorable: (text: string) => !text.includes('库') },
  } as unknown as StoreSet;
  const handlerOf = (version: number) => ({
    consumer: 'hall',
    eventType: { type: 'greeting', version, eventClass, consumers: [], confirm: true, giveUp: {} },
    stores,
    label: 'Hall#greet',
    prefetch: 1,
    timeoutMs: 10_000,
    maxAttempts: 1,
    backoff: { initialMs: 1, maxMs: 1, jitter: 0 },
    batch: undefined,
    invoke: () => Promise.resolve(),
  });
  const byVersion = new Map(versions.map((version) => [version, handlerOf(version)]));
  return { queue: 'hall.greeting', consumer: 'hall', type: 'greeting', byVersion, prefetch: 1, runsAtOnce: 1, stores };
}

const ID = '0198c0de-1111-7000-8000-000000000001';

interface Properties {
  readonly body?: Buffer;
  readonly [property: string]: unknown;
}

function raw({ body = Buffer.from('{"text":"hi"}'), ...properties }: Properties = {}): IncomingMessage {
  const all = { messageId: ID, type: 'greeting', headers: {}, ...properties };
  return toIncomingMessage('hall.greeting', { body, properties: all, routingKey: 'greeting' }, false);
}

async function readMessage(
  message: IncomingMessage,
  queue: QueueHandlers,
  maxBytes: number,
  stop: AbortSignal,
): Promise<Reading | Exclude<Opening, { kind: 'opened' }> | undefined> {
  const opening = openMessage(message, queue, maxBytes);
  return opening.kind === 'opened' ? readPayload(opening, stop) : opening;
}

async function read(
  message: IncomingMessage,
  queue = queueOf(1),
  maxBytes = 1_000,
): Promise<Reading | Exclude<Opening, { kind: 'opened' }>> {
  const reading = await readMessage(message, queue, maxBytes, new AbortController().signal);
  if (!reading) throw new Error('the process is not stopping');
  return reading;
}

async function reasonOf(message: IncomingMessage, queue?: QueueHandlers, maxBytes?: number): Promise<unknown> {
  const reading = await read(message, queue, maxBytes);
  return reading.kind === 'unreadable' || reading.kind === 'invalid' ? reading.reason : undefined;
}

function parkingIdOf(message: IncomingMessage, queue = queueOf(1)): string {
  return openMessage(message, queue, 1_000).parkingKey().eventId;
}

describe('a message that is read', () => {
  it.each([
    ['a number', 2, 2],
    ['a text of digits', '2', 2],
    ['nothing, where version 1 is handled', undefined, 1],
  ])('takes the version from %s', async (_, header, version) => {
    const reading = await read(raw({ headers: { [HEADER.version]: header } }), queueOf(1, 2));
    expect(reading).toMatchObject({ kind: 'event', message: { opened: { handler: { eventType: { version } } } } });
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
    const reading = await read(raw(), queueOf(4, 3));
    expect(reading).toMatchObject({ kind: 'event', message: { opened: { handler: { eventType: { version: 3 } } } } });
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
    ["with characters that are not in the database's encoding", '库存', "not in this database's encoding"],
    ['whose bytes were not UTF-8', 'order-\ufffd', 'bytes that are not UTF-8 (U+FFFD)'],
  ])('refuses a messageId %s', async (_, messageId, reason) => {
    await expect(reasonOf(raw({ messageId }))).resolves.toContain(reason);
  });

  describe('whose class waits for something', () => {
    const queue = queueFor(LookedUpGreeting, 1);

    it('takes a payload that is found valid', async () => {
      Known.answer = () => Promise.resolve(true);
      await expect(read(raw(), queue)).resolves.toMatchObject({ kind: 'event', message: { event: { text: 'hi' } } });
    });

    it('refuses a payload that is found invalid', async () => {
      Known.answer = () => Promise.resolve(false);
      await expect(reasonOf(raw(), queue)).resolves.toBe('its payload is invalid: text: nobody knows it');
    });

    it.each([new Error('the registry is away'), new RangeError('page 7 of 6')])(
      'knows nothing of the message when the validation fails: %s',
      async (error) => {
        Known.answer = () => Promise.reject(error);
        await expect(read(raw(), queue)).resolves.toMatchObject({
          kind: 'failed',
          reason: `the validation of its payload failed: ${String(error)}`,
        });
      },
    );

    it('knows nothing of the message when the validation takes longer than an attempt may', async () => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
      try {
        Known.answer = () => new Promise(() => undefined);
        const reading = read(raw(), queue);
        await jest.advanceTimersByTimeAsync(10_000);
        await expect(reading).resolves.toMatchObject({
          kind: 'failed',
          reason: 'the validation of its payload failed: Error: it did not end within 10000 ms',
        });
      } finally {
        jest.useRealTimers();
      }
    });

    it('reads nothing any more when the process is stopping, however the validation ends', async () => {
      const stop = new AbortController();
      Known.answer = () => new Promise(() => undefined);
      const reading = readMessage(raw(), queue, 1_000, stop.signal);
      stop.abort();
      await expect(reading).resolves.toBeUndefined();
      Known.answer = () => Promise.reject(new Error('too late'));
      await expect(readMessage(raw(), queue, 1_000, stop.signal)).resolves.toBeUndefined();
    });
  });

  it.each([
    ['a rule', LoudGreeting],
    ['a conversion', TransformedGreeting],
  ])('refuses a payload at which %s throws at once, as it would each time', async (_, eventClass: EventClass) => {
    const message = raw({ body: Buffer.from('{"text":1}') });
    await expect(reasonOf(message, queueFor(eventClass, 1))).resolves.toContain('toUpperCase is not a function');
  });

  it('lets a message wait whose version has no handler', async () => {
    await expect(read(raw({ headers: { [HEADER.version]: 3 } }), queueOf(1, 2))).resolves.toMatchObject({
      kind: 'unhandled',
      key: { eventId: ID, consumer: 'hall', type: 'greeting' },
      reason: 'no handler for version 3 of "greeting"; this service handles 1, 2',
    });
  });

  it.each([
    ['Ada Lovelace', 'its body is not JSON'],
    ['4111111111111111;Ada Lovelace', 'its body is not JSON at position 16'],
    ['{"card": 4111x}', 'its body is not JSON at position 13'],
  ])('says that a body is no JSON without a word of it: %s', async (body, reason) => {
    const text = await reasonOf({ ...raw(), body: Buffer.from(body) });
    expect(text).toMatch(/^its body is not JSON( at position \d+)?$/);
    expect(text).toBe(reason);
  });

  it('counts the bytes before it parses', async () => {
    await expect(reasonOf(raw(), queueOf(1), 5)).resolves.toContain('more than consume.maxMessageBytes (5)');
  });

  it('answers only messages of our own producers', async () => {
    const own = { messageId: ID, replyTo: 'receipts', headers: { [HEADER.source]: 'default' } };
    const address = (message: Properties): unknown => openMessage(raw(message), queueOf(1), 1_000).receiptAddress;
    expect(address(own)).toMatchObject({ queue: 'receipts', source: 'default', eventId: ID });
    expect(address({ ...own, replyTo: undefined })).toBeUndefined();
    expect(address({ ...own, messageId: 'no uuid' })).toBeUndefined();
    expect(address({ ...own, headers: {} })).toBeUndefined();
    expect(address({ ...own, headers: { [HEADER.source]: 7 } })).toBeUndefined();
  });

  it('gives equal messages one parking id, and others another', () => {
    const broken = { body: Buffer.from('{') };
    const id = parkingIdOf(raw(broken));
    expect(id).toMatch(/^sha256:/);
    expect(parkingIdOf(raw(broken))).toBe(id);
    const different = [
      parkingIdOf(raw({ ...broken, messageId: 'another' })),
      parkingIdOf(raw({ body: Buffer.from('{"') })),
      parkingIdOf(raw({ ...broken, type: 'farewell' })),
      parkingIdOf(raw(broken), { ...queueOf(1), type: 'farewell' }),
    ];
    expect(new Set([id, ...different]).size).toBe(5);
  });

  it('knows the bytes of what somebody else has published, whose id may be given twice', () => {
    const hashOf = (properties: Properties): unknown => openMessage(raw(properties), queueOf(1), 1_000).stored.bodyHash;
    expect(hashOf({})).toEqual(hashOf({ headers: { any: 'thing' } }));
    expect(hashOf({})).not.toEqual(hashOf({ body: Buffer.from('{"text":"ho"}') }));
    expect(hashOf({ headers: { [HEADER.source]: 'default' } })).toBeNull();
  });
});

describe('openRow', () => {
  const stored = (opening: Opening): Record<string, unknown> =>
    JSON.parse(JSON.stringify(opening.stored.properties)) as Record<string, unknown>;

  it('gives a message back as it came', () => {
    const queue = queueOf(1);
    const properties = { replyTo: 'receipts', appId: 'office', correlationId: 'c', priority: 3 };
    const first = openMessage(raw({ ...properties, headers: { tenant: 'north' } }), queue, 1_000);
    const { body } = first.stored;
    const again = openRow({ eventId: ID, consumer: 'hall', type: 'greeting', body, properties: stored(first) }, queue);
    expect(again.raw).toEqual({ ...first.raw, redelivered: true });
    expect(again.stored).toEqual(first.stored);
  });

  it('knows the id of a message that was kept under one made of its bytes, unless the database has left something of it out', () => {
    const queue = queueOf(1);
    for (const [messageId, kind] of [
      ['order 1', 'opened'],
      ['order\u0000 1', 'unreadable'],
    ] as const) {
      const first = openMessage(raw({ messageId }), queue, 1_000);
      const { body } = first.stored;
      const properties = JSON.parse(storableJson(first.stored.properties)) as Record<string, unknown>;
      const opening = openRow({ ...first.parkingKey(), body, properties }, queue);
      expect(opening.kind).toBe(kind);
    }
  });

  it('survives properties that are not what they should be', () => {
    const properties = { headers: 'none', replyTo: 7, appId: null };
    const row = { eventId: ID, consumer: 'hall', type: 'greeting', body: Buffer.alloc(0), properties };
    expect(openRow(row, queueOf(1)).raw).toMatchObject({
      headers: {},
      replyTo: undefined,
      appId: undefined,
      routingKey: 'greeting',
    });
  });
});
