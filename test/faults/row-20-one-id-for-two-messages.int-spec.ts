import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import { ReliableEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { eventually } from '../support/eventually';
import { Consuming, SERVICE } from '../integration/consume-harness';

@ReliableEvent({ type: 'order.created' })
class OrderCreated {
  @IsString() text!: string;
}

@ReliableEvent({ type: 'order.cancelled' })
class OrderCancelled {
  @IsString() text!: string;
}

@Injectable()
class Desk {
  readonly handled: string[] = [];

  @ReliableEventHandler(OrderCreated)
  create({ text }: OrderCreated): void {
    this.handled.push(`created ${text}`);
  }

  @ReliableEventHandler(OrderCancelled)
  cancel({ text }: OrderCancelled): void {
    this.handled.push(`cancelled ${text}`);
  }
}

const PARKED = `${SERVICE}.parked`;

describe('a foreign publisher that numbers its messages by order', () => {
  let consuming: Consuming;
  const duplicates: unknown[] = [];
  const parked: { reason: string }[] = [];

  beforeAll(async () => {
    consuming = await Consuming.start({
      entities: [],
      providers: [Desk],
      reliableMq: {
        hooks: { duplicate: (event) => duplicates.push(event), parked: (message) => parked.push(message) },
      },
    });
  });
  afterAll(() => consuming.dispose());

  const handled = (): readonly string[] => consuming.app.get(Desk).handled;

  it('may give one id to messages of two types: both are handled', async () => {
    for (const type of ['order.created', 'order.cancelled']) consuming.send('4711', { messageId: 'order-4711', type });
    await eventually(() => expect(handled()).toEqual(expect.arrayContaining(['created 4711', 'cancelled 4711'])));
    await eventually(async () => expect(await consuming.inbox('order-4711')).toHaveLength(2));
    expect(duplicates).toEqual([]);
  });

  it('may send one message twice: it is handled once', async () => {
    for (let copy = 0; copy < 2; copy += 1) consuming.send('4712', { messageId: 'order-4712', type: 'order.created' });
    await eventually(() => expect(duplicates).toMatchObject([{ eventId: 'order-4712' }]));
    expect(handled().filter((each) => each === 'created 4712')).toHaveLength(1);
  });

  it('has the second of two bodies parked, with the reason, that have one id and type', async () => {
    consuming.send('first', { messageId: 'order-4713', type: 'order.created' });
    await eventually(() => expect(handled()).toContain('created first'));
    consuming.send('second', { messageId: 'order-4713', type: 'order.created' });
    await eventually(() => expect(consuming.broker.messages(PARKED)).toHaveLength(1));
    const reason = 'its messageId and type are those of another message, received before with another body (handled)';
    expect(parked).toMatchObject([{ reason }]);
    const [message] = consuming.broker.messages(PARKED);
    expect(message?.body.toString()).toBe('{"text":"second"}');
    expect(handled()).not.toContain('created second');
    const rows = await consuming.app.query(`SELECT reason FROM reliable_mq_inbox WHERE status = 'rejected'`);
    expect(rows).toEqual([{ reason }]);
  });
});
