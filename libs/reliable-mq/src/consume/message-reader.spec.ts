import { Transform } from 'class-transformer';
import { IsString, Validate, ValidatorConstraint } from 'class-validator';
import { HEADER } from '../event/message-headers';
import type { EventClass } from '../event/event-type';
import type { StoreSet } from '../database/stores';
import type { QueueHandlers } from './handler-registry';
import { fromInbox, openMessage, type RawMessage } from './message-reader';
import { checkPayload, type Reading } from './payload-check';

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
  const stores = { name: 'default' } as StoreSet;
  const handlerOf = (version: number) => ({
    consumer: 'hall',
    eventType: { type: 'greeting', version, eventClass, consumers: [], confirm: true, giveUp: {} },
    stores,
    label: 'Hall#greet',
    prefetch: 1,
    timeoutMs: 10_000,
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

async function readMessage(
  message: RawMessage,
  queue: QueueHandlers,
  maxBytes: number,
  stop: AbortSignal,
): Promise<Reading | undefined> {
  const opening = openMessage(message, queue, maxBytes);
  return opening.kind === 'opened' ? checkPayload(opening, stop) : opening;
}

async function read(message: RawMessage, queue = queueOf(1), maxBytes = 1_000): Promise<Reading> {
  const reading = await readMessage(message, queue, maxBytes, new AbortController().signal);
  if (!reading) throw new Error('the process is not stopping');
  return reading;
}

async function reasonOf(message: RawMessage, queue?: QueueHandlers, maxBytes?: number): Promise<string | undefined> {
  const reading = await read(message, queue, maxBytes);
  return reading.kind === 'unreadable' ? reading.reason : undefined;
}

async function parkingIdOf(message: RawMessage, queue?: QueueHandlers): Promise<string | undefined> {
  const reading = await read(message, queue);
  return reading.kind === 'unreadable' ? reading.parkingId : undefined;
}

describe('a message that is read', () => {
  it.each([
    ['a number', 2, 2],
    ['a text of digits', '2', 2],
    ['nothing, where version 1 is handled', undefined, 1],
  ])('takes the version from %s', async (_, header, version) => {
    const reading = await read(raw({ headers: { [HEADER.version]: header } }), queueOf(1, 2));
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
    const reading = await read(raw(), queueOf(4, 3));
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
      'postpones the message when the validation fails: %s',
      async (error) => {
        Known.answer = () => Promise.reject(error);
        await expect(read(raw(), queue)).resolves.toMatchObject({
          kind: 'postponed',
          eventId: ID,
          handler: { label: 'Hall#greet' },
          reason: `the validation of its payload failed: ${String(error)}`,
        });
      },
    );

    it('postpones the message when the validation takes longer than an attempt may', async () => {
      jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] });
      try {
        Known.answer = () => new Promise(() => undefined);
        const reading = read(raw(), queue);
        await jest.advanceTimersByTimeAsync(10_000);
        await expect(reading).resolves.toMatchObject({
          kind: 'postponed',
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

  it('postpones a message of a version that has no handler', async () => {
    await expect(read(raw({ headers: { [HEADER.version]: 3 } }), queueOf(1, 2))).resolves.toMatchObject({
      kind: 'postponed',
      handler: undefined,
      reason: 'no handler for version 3 of "greeting"; this service handles 1, 2',
    });
  });

  it('counts the bytes before it parses', async () => {
    await expect(reasonOf(raw(), queueOf(1), 5)).resolves.toContain('more than consume.maxMessageBytes (5)');
  });

  it('answers only messages of our own producers', async () => {
    const own = { messageId: ID, replyTo: 'receipts', headers: { [HEADER.source]: 'default' } };
    const address = async (message: Partial<RawMessage>): Promise<unknown> => {
      const reading = await read(raw(message));
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
    const first = await read(message, queue);
    if (first.kind !== 'event') throw new Error('unreadable');
    const { body, properties } = first.message.stored;
    const stored = JSON.parse(JSON.stringify(properties)) as Record<string, unknown>;
    const again = await read(fromInbox({ body, properties: stored }, { eventId: ID, type: queue.type }), queue);
    expect(again).toEqual(first);
  });

  it('survives properties that are not what they should be', () => {
    const properties = { headers: 'none', replyTo: 7, appId: null };
    expect(fromInbox({ body: Buffer.alloc(0), properties }, { eventId: ID, type: 'greeting' })).toMatchObject({
      headers: {},
      replyTo: undefined,
      appId: undefined,
      routingKey: 'greeting',
    });
  });
});
