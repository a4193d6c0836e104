import { Injectable } from '@nestjs/common';
import { IsInt, IsString, Validate, ValidatorConstraint } from 'class-validator';
import { EventOperations, ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { HEADER } from '../support/wire-headers';
import { Consuming, SERVICE } from '../integration/consume-harness';

/** What is too heavy: the next release may allow more. */
@ValidatorConstraint()
class Allowed {
  static upTo = 10;

  validate(weight: number): boolean {
    return weight <= Allowed.upTo;
  }

  defaultMessage(): string {
    return 'too heavy';
  }
}

@ReliableEvent({ type: 'parcel.sent' })
class ParcelSent {
  @IsString() text!: string;
  @IsInt() @Validate(Allowed) weight!: number;
}

@Injectable()
class Post {
  readonly handled: ParcelSent[] = [];

  @ReliableEventHandler(ParcelSent)
  take(parcel: ParcelSent): void {
    this.handled.push(parcel);
  }
}

const QUEUE = `${SERVICE}.parcel.sent`;
const PARKED = `${SERVICE}.parked`;
const REASON = 'its payload is invalid: weight: too heavy';

describe('messages that no handler can take', () => {
  let consuming: Consuming;
  const hooks: unknown[] = [];

  beforeEach(async () => {
    Allowed.upTo = 10;
    hooks.length = 0;
    const reliableMq = { hooks: { parked: (message: unknown) => hooks.push(message) } };
    consuming = await Consuming.start({ entities: [], providers: [Post], reliableMq });
  });
  afterEach(() => consuming.dispose());

  function send(text: string, weight: number, properties: Record<string, unknown> = {}): string {
    const body = Buffer.from(JSON.stringify({ text, weight }));
    return consuming.send(text, { type: 'parcel.sent', body, properties });
  }

  const copies = () => consuming.broker.messages(PARKED);
  const handled = (): readonly string[] => consuming.app.get(Post).handled.map(({ text }) => text);
  const rejected = async () => (await consuming.inbox()).filter(({ status }) => status === 'rejected');

  /** As a shovel does, or "move messages": the message as it is, into another queue. */
  async function moveBack(): Promise<void> {
    const [copy] = await eventually(() => (copies().length > 0 ? copies() : false));
    consuming.broker.purge(PARKED);
    consuming.broker.publish({ queue: QUEUE }, copy);
  }

  it('hold up none that can be taken while their parking queue takes nothing; their copies come when it does', async () => {
    consuming.broker.deleteQueue(PARKED);
    for (let index = 0; index < 30; index += 1) send(`bad ${index}`, 20);
    const good = Array.from({ length: 30 }, (_, index) => send(`good ${index}`, 1));
    for (const id of good) await consuming.settled(id, 'handled');
    await eventually(async () => expect(await rejected()).toHaveLength(30));
    expect(consuming.waiting(QUEUE)).toBe(0);
    expect(hooks).toHaveLength(30);

    consuming.broker.declare({ name: PARKED, kind: 'parking', bindings: [] });
    await eventually(() => expect(copies()).toHaveLength(30));
  });

  it('are parked as they came, with why, by whom and from where; not with what would let the copy go', async () => {
    const properties = {
      correlationId: 'c-1',
      contentType: 'application/json',
      appId: 'legacy',
      replyTo: 'some.reply',
      timestamp: 1_700_000_000,
      priority: 3,
      expiration: '60000',
      userId: 'guest',
      headers: { tenant: 'acme', [HEADER.version]: 1, CC: ['elsewhere'] },
    };
    const messageId = send('heavy', 20, properties);
    const [copy] = await eventually(() => (copies().length > 0 ? copies() : false));
    const { expiration, userId, headers, ...kept } = properties;
    expect(copy?.properties).toEqual({
      ...kept,
      messageId,
      type: 'parcel.sent',
      headers: {
        tenant: 'acme',
        [HEADER.version]: 1,
        [HEADER.reason]: REASON,
        [HEADER.consumer]: SERVICE,
        'reliable-mq-queue': QUEUE,
        'reliable-mq-expiration': expiration,
        'reliable-mq-user-id': userId,
        'reliable-mq-cc': headers.CC,
      },
    });
    const [row] = await rejected();
    expect(row).toMatchObject({ properties: { ...kept, expiration, userId, headers, messageId } });
  });

  it('are parked again when somebody moves them back and they are bad still: visible in the queue, the log and the inbox', async () => {
    send('heavy', 20);
    await eventually(() => expect(hooks).toHaveLength(1));
    await moveBack();
    await eventually(() => expect(hooks).toHaveLength(2));
    await eventually(() => expect(copies()).toHaveLength(1));
    expect(consuming.waiting(QUEUE)).toBe(0);
    expect(await rejected()).toHaveLength(1);
    expect(handled()).toEqual([]);
  });

  it('are handled when somebody moves them back and they are good now', async () => {
    const id = send('heavy', 20);
    await eventually(() => expect(hooks).toHaveLength(1));
    Allowed.upTo = 100;
    await moveBack();
    await consuming.settled(id, 'handled');
    expect(handled()).toEqual(['heavy']);
    await eventually(async () => expect(await rejected()).toEqual([]));
  });

  it('can be tried again from the inbox: parked again while they are bad, handled once they are good', async () => {
    const id = send('heavy', 20);
    const [row] = await eventually(async () => ((await rejected()).length > 0 ? rejected() : false));
    const operations = consuming.app.get(EventOperations);
    const key = { eventId: row?.event_id as string, consumer: SERVICE };
    await expect(operations.retryInbox([key])).resolves.toBe(1);
    await eventually(() => expect(hooks).toHaveLength(2));
    await eventually(async () => expect(await rejected()).toMatchObject([{ event_id: key.eventId, reason: REASON }]));
    Allowed.upTo = 100;
    await operations.retryInbox([key]);
    await expect(consuming.settled(id, 'handled')).resolves.toMatchObject({ event_id: id });
    expect(handled()).toEqual(['heavy']);
    expect(await rejected()).toEqual([]);
  });
});
