import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import type { Channel, GetMessage, Options } from 'amqplib';
import { IsInt, IsString, Min } from 'class-validator';
import { type EventContext, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { HEADER } from '../support/wire-headers';
import type { InboxRow } from '../support/database';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';
import { TestBroker } from '../support/test-broker';

@ReliableEvent({ type: 'parcel.sent' })
class ParcelSent {
  @IsString() to!: string;
  @IsInt() @Min(1) weight!: number;
  isAdmin?: boolean;
}

class ParcelHandler {
  readonly handled: { event: ParcelSent; context: EventContext }[] = [];

  @ReliableEventHandler(ParcelSent)
  handle(event: ParcelSent, context: EventContext): void {
    this.handled.push({ event, context });
  }
}

const GOOD = { to: 'Ada', weight: 2 };
const MAX_BYTES = 1024 * 1024;

describe('messages that anybody may send to RabbitMQ', () => {
  const rabbitmq = new TestBroker();
  const service = rabbitmq.service('post', 'parcel.sent');
  const queue = `${service}.parcel.sent`;
  const parked = `${service}.parked`;
  const receipts = `${rabbitmq.prefix}producer.receipts`;
  let app: TestApp;
  let channel: Channel;
  /** Bytes that take the place of a text of the same length on its way to the broker: amqplib writes UTF-8 only. */
  const bytesFor = new Map<string, Buffer>();
  const parkedHooks: { reason: string; messageId: string | undefined }[] = [];

  beforeAll(async () => {
    app = await TestApp.start({
      broker: rabbitmq,
      providers: [ParcelHandler],
      reliableMq: {
        ...QUICK,
        service,
        consume: { maxMessageBytes: MAX_BYTES },
        hooks: { parked: (message) => parkedHooks.push(message) },
      },
    });
    channel = await rabbitmq.channel();
    const { stream } = (channel as unknown as { connection: { stream: Writable } }).connection;
    const write = stream.write.bind(stream) as (chunk: Buffer) => boolean;
    stream.write = (chunk: Buffer): boolean => {
      for (const [text, bytes] of bytesFor) if (chunk.includes(text)) bytes.copy(chunk, chunk.indexOf(text));
      return write(chunk);
    };
    await channel.assertQueue(receipts, { exclusive: true });
  });
  afterEach(async () => {
    await eventually(async () => expect((await channel.checkQueue(queue)).messageCount).toBe(0));
    await channel.purgeQueue(parked);
    await channel.purgeQueue(receipts);
  });
  afterAll(async () => {
    await app.dispose();
    await rabbitmq.dispose();
  });

  function publish(body: unknown, properties: Options.Publish = {}): void {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    channel.publish(rabbitmq.exchange, 'parcel.sent', bytes, properties);
  }

  function publishWithId(messageId: Buffer, body: unknown): void {
    const text = randomUUID().repeat(10).slice(0, messageId.length);
    bytesFor.set(text, messageId);
    publish(body, { messageId: text, type: 'parcel.sent' });
  }

  const inbox = (): Promise<InboxRow[]> => app.inbox();

  async function nextParked(): Promise<GetMessage> {
    return eventually(async () => await channel.get(parked, { noAck: true }));
  }

  async function nextReceipts(): Promise<Record<string, unknown>[]> {
    const message = await eventually(async () => await channel.get(receipts, { noAck: true }));
    return (JSON.parse(message.content.toString()) as { receipts: Record<string, unknown>[] }).receipts;
  }

  /** Its handling, committed: no row of it comes any more. */
  async function handles(id: string): Promise<{ event: ParcelSent; context: EventContext }> {
    return eventually(async () => {
      const found = app.get(ParcelHandler).handled.find(({ context }) => context.eventId === id);
      expect(found).toBeDefined();
      expect((await inbox()).map(({ event_id }) => event_id)).toContain(id);
      return found as { event: ParcelSent; context: EventContext };
    });
  }

  it('need a messageId, a type and a JSON body, and nothing else', async () => {
    const messageId = `not-a-uuid ${randomUUID()}`;
    publish(GOOD, { messageId, type: 'parcel.sent' });
    const { event, context } = await handles(messageId);
    expect(event).toEqual(Object.assign(new ParcelSent(), GOOD));
    expect(event).toBeInstanceOf(ParcelSent);
    expect(context).toMatchObject({ version: 1, attempt: 1, producer: undefined, headers: {} });
  });

  it('may have whatever headers and properties', async () => {
    const messageId = randomUUID();
    publish(GOOD, {
      messageId,
      type: 'parcel.sent',
      contentEncoding: 'UTF-8',
      contentType: 'text/plain',
      replyTo: receipts,
      correlationId: 'x',
      priority: 3,
      expiration: '60000',
      headers: {
        [HEADER.redrives]: 'many',
        [HEADER.attempt]: { an: 'object' },
        [HEADER.source]: 17,
        nested: { deep: [1, { deeper: true }] },
        empty: null,
        '': 'no name',
      },
    });
    const { context } = await handles(messageId);
    expect(context.headers).toMatchObject({ nested: { deep: [1, { deeper: true }] } });
    expect(Object.keys(context.headers)).not.toContain(HEADER.source);
  });

  it('may begin with a byte order mark', async () => {
    const messageId = randomUUID();
    publish(Buffer.from(`\ufeff${JSON.stringify(GOOD)}`), { messageId, type: 'parcel.sent' });
    await expect(handles(messageId)).resolves.toMatchObject({ event: GOOD });
  });

  it('cannot reach into prototypes', async () => {
    const messageId = randomUUID();
    const body = '{"to":"Ada","weight":2,"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}';
    publish(Buffer.from(body), { messageId, type: 'parcel.sent' });
    const { event } = await handles(messageId);
    expect(event).toBeInstanceOf(ParcelSent);
    expect(event.isAdmin).toBeUndefined();
    expect(Object.getPrototypeOf(event)).toBe(ParcelSent.prototype);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  const withId = (properties: Options.Publish = {}): Options.Publish => ({
    messageId: randomUUID(),
    type: 'parcel.sent',
    ...properties,
  });

  it.each<[string, unknown, Options.Publish, string]>([
    ['no messageId', GOOD, { type: 'parcel.sent' }, 'the message has no messageId'],
    ['an id with a NUL character', GOOD, withId({ messageId: 'a\u0000b' }), 'characters that no database stores'],
    [
      'an id whose bytes are not UTF-8',
      GOOD,
      withId({ messageId: 'order-\ufffd' }),
      "bytes that are not UTF-8 (U+FFFD), and can't be told from another's",
    ],
    ['no type', GOOD, { messageId: randomUUID() }, 'the message has no type'],
    [
      'another type',
      GOOD,
      withId({ type: 'parcel.lost' }),
      'its type is "parcel.lost", but this queue takes "parcel.sent"',
    ],
    ['an encoding that nobody agreed on', GOOD, withId({ contentEncoding: 'gzip' }), '"gzip" is not supported'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), withId(), 'its body is not UTF-8'],
    ['no body', Buffer.alloc(0), withId(), 'its body is not JSON'],
    ['broken JSON', Buffer.from('{"to":'), withId(), 'its body is not JSON'],
    [
      'objects 100,000 levels deep',
      Buffer.from('{"to":'.repeat(100_000) + '1' + '}'.repeat(100_000)),
      withId(),
      'is nested too deeply',
    ],
    [
      'arrays 100,000 levels deep',
      Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)),
      withId(),
      'must be an object, got an array',
    ],
    ['a list', [GOOD], withId(), 'must be an object, got an array'],
    ['null', null, withId(), 'must be an object, got null'],
    ['a number', 7, withId(), 'must be an object, got number'],
    ['too many bytes', Buffer.alloc(MAX_BYTES + 1, 0x20), withId(), `more than consume.maxMessageBytes (${MAX_BYTES})`],
    [
      'a version that is none',
      GOOD,
      withId({ headers: { [HEADER.version]: { not: 'a number' } } }),
      'is not a whole number from 1',
    ],
    ['a version below 1', GOOD, withId({ headers: { [HEADER.version]: 0 } }), 'is not a whole number from 1'],
    [
      'a payload that its class refuses',
      { to: 7, weight: 0 },
      withId(),
      'to: to must be a string; weight: weight must not be less than 1',
    ],
  ])('are parked with their bytes and the reason, and acknowledged: %s', async (_, body, properties, reason) => {
    const before = await inbox();
    publish(body, properties);

    const message = await nextParked();

    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
    expect(message.content.equals(bytes)).toBe(true);
    const headers = message.properties.headers ?? {};
    expect(headers[HEADER.reason]).toContain(reason);
    expect(headers[HEADER.consumer]).toBe(service);
    expect(parkedHooks.at(-1)?.reason).toContain(reason);
    const [row, ...others] = (await inbox()).slice(before.length);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      status: 'rejected',
      attempts: 0,
      due_at: null,
      reason: headers[HEADER.reason] as string,
    });
    expect(row?.event_id).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(row?.body?.equals(bytes)).toBe(true);
    // What comes behind it is handled.
    const messageId = randomUUID();
    publish(GOOD, { messageId, type: 'parcel.sent' });
    await handles(messageId);
  });

  it('are all parked when their ids differ only in bytes that are not UTF-8', async () => {
    const ids = [randomUUID(), randomUUID()].map((id) => id.slice(0, 10));
    publishWithId(Buffer.from(`order ${ids[0]} \xe4`, 'latin1'), { ...GOOD, to: ids[0] });
    publishWithId(Buffer.from(`order ${ids[0]} \xf6`, 'latin1'), { ...GOOD, to: ids[1] });
    const bodies = [await nextParked(), await nextParked()].map(
      ({ content }) => JSON.parse(content.toString()) as unknown,
    );
    expect(bodies).toEqual(ids.map((to) => ({ ...GOOD, to })));
  });

  it('are all put into the parking queue when also their bodies are equal: they may be one message or several', async () => {
    const id = randomUUID().slice(0, 10);
    for (const byte of ['\xe4', '\xf6']) publishWithId(Buffer.from(`order ${id} ${byte}`, 'latin1'), GOOD);
    for (let copy = 0; copy < 2; copy += 1)
      await expect(nextParked()).resolves.toMatchObject({ properties: { messageId: `order ${id} \ufffd` } });
  });

  it('are parked also when their id becomes longer than AMQP allows', async () => {
    publishWithId(Buffer.alloc(255, 0xe4), { ...GOOD, to: 'Ümläut' });
    const { properties, content } = await nextParked();
    expect(JSON.parse(content.toString())).toEqual({ ...GOOD, to: 'Ümläut' });
    expect(properties.messageId).toBe('\ufffd'.repeat(85));
  });

  it('are parked also when their type becomes longer than AMQP allows', async () => {
    const type = randomUUID().repeat(7);
    bytesFor.set(type, Buffer.alloc(type.length, 0xe4));
    publish(GOOD, { messageId: randomUUID(), type });
    await expect(nextParked()).resolves.toMatchObject({ properties: { type: '\ufffd'.repeat(85) } });
  });

  it('are parked once when the same bytes come again', async () => {
    const messageId = randomUUID();
    const before = await inbox();
    for (let copy = 0; copy < 3; copy += 1) publish('broken', { messageId, type: 'parcel.sent' });
    publish(GOOD, { messageId: `behind ${messageId}`, type: 'parcel.sent' });
    await handles(`behind ${messageId}`);
    await nextParked();
    expect((await channel.checkQueue(parked)).messageCount).toBe(0);
    expect((await inbox()).slice(before.length).filter(({ status }) => status === 'rejected')).toHaveLength(1);
  });

  it('do not block a real event by taking its id', async () => {
    const messageId = randomUUID();
    publish('forged', { messageId, type: 'parcel.sent' });
    await nextParked();
    publish(GOOD, { messageId, type: 'parcel.sent' });
    await handles(messageId);
  });

  it('are reported as rejected to our own producers, who compensate', async () => {
    const messageId = randomUUID();
    const own = { [HEADER.version]: 1, [HEADER.source]: 'default' };
    publish({ to: 'Ada', weight: 0 }, { messageId, type: 'parcel.sent', replyTo: receipts, headers: own });
    await nextParked();
    await expect(nextReceipts()).resolves.toMatchObject([
      {
        eventId: messageId,
        consumer: service,
        outcome: 'rejected',
        source: 'default',
        reason: expect.stringContaining('weight') as string,
      },
    ]);
  });

  it('are not reported to anybody else, whatever they ask for', async () => {
    publish('no', { messageId: randomUUID(), type: 'parcel.sent', replyTo: receipts });
    publish('no', {
      messageId: 'no-uuid',
      type: 'parcel.sent',
      replyTo: receipts,
      headers: { [HEADER.source]: 'default' },
    });
    for (let count = 0; count < 2; count += 1) await nextParked();
    const messageId = randomUUID();
    publish(GOOD, { messageId, type: 'parcel.sent', replyTo: receipts, headers: { [HEADER.source]: 'default' } });
    await expect(nextReceipts()).resolves.toMatchObject([{ eventId: messageId, outcome: 'handled' }]);
  });

  it('do not slow down the good ones between them', async () => {
    const ids = Array.from({ length: 50 }, () => randomUUID());
    for (const messageId of ids) {
      publish('bad', { messageId: `bad ${messageId}`, type: 'parcel.sent' });
      publish(GOOD, { messageId, type: 'parcel.sent' });
    }
    for (const id of ids) await handles(id);
    await eventually(async () => expect((await channel.checkQueue(parked)).messageCount).toBe(50));
  });
});
