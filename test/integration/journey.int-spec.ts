import { Injectable } from '@nestjs/common';
import { IsOptional, IsString } from 'class-validator';
import {
  type BatchContext,
  Compensate,
  EventContext,
  EventOperations,
  EventRecorder,
  InvalidEventError,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { DataSource } from 'typeorm';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';

class Step {
  @IsString() order!: string;
  @IsOptional() @IsString() then?: string;

  static of<T extends Step>(this: new () => T, order: string, then?: string): T {
    return Object.assign(new this(), { order, ...(then !== undefined && { then }) });
  }
}

@ReliableEvent({ type: 'step.placed', key: ({ order }: Placed) => order })
class Placed extends Step {}

@ReliableEvent({ type: 'step.picked', key: ({ order }: Picked) => order })
class Picked extends Step {}

@ReliableEvent({ type: 'step.sent' })
class Sent extends Step {}

@ReliableEvent({ type: 'step.gathered' })
class Gathered extends Step {}

@Injectable()
class Shop {
  readonly contexts: EventContext[] = [];
  readonly batches: BatchContext[] = [];

  constructor(
    readonly events: EventRecorder,
    private readonly dataSource: DataSource,
  ) {}

  @TransactionalEvent(Placed, (order: string) => ({ order }) as Placed)
  async place(order: string): Promise<string> {
    return order;
  }

  record(event: Step, context: Parameters<EventRecorder['record']>[1] = {}): Promise<string> {
    return this.events.transaction(() => this.events.record(event, context));
  }

  @ReliableEventHandler(Placed)
  async pick({ order, then }: Placed, context: EventContext): Promise<void> {
    this.contexts.push(context);
    if (then === 'reject') throw new RejectEvent('sold out');
    // In a transaction of the handler's own making, and outside of all.
    if (then === 'apart') await this.dataSource.transaction(() => this.events.record(Picked.of(order)));
    else if (then === 'outside') await this.events.outside(() => this.record(Picked.of(order)));
    else if (then === 'named') await this.record(Picked.of(order), { key: `${order}/1`, causationId: context.eventId });
    else if (then === 'other') await this.record(Picked.of(order), { headers: { correlationId: 'its own' } });
    else await this.events.record(Picked.of(order));
  }

  @ReliableEventHandler(Picked)
  async send({ order }: Picked, context: EventContext): Promise<void> {
    this.contexts.push(context);
    await this.events.record(Sent.of(order));
  }

  @Compensate(Placed)
  async undo({ order }: Placed): Promise<void> {
    await this.events.record(Sent.of(order));
  }

  @ReliableEventHandler(Gathered, { prefetch: 4, batch: { size: 2, waitMs: 5000 } })
  async gather(_events: Gathered[], context: BatchContext): Promise<void> {
    this.batches.push(context);
    const [first] = context.messages;
    await this.events.record(Sent.of('of the batch'));
    await this.events.record(Sent.of('of the first'), { causationId: first!.eventId });
  }
}

describe('the journey of an order', () => {
  let app: TestApp;
  let shop: Shop;
  let operations: EventOperations;

  beforeAll(async () => {
    app = await TestApp.start({ providers: [Shop], reliableMq: QUICK });
    shop = app.get(Shop);
    operations = app.get(EventOperations);
  });
  afterAll(() => app.dispose());

  const found = async (keyOrId: string, count: number) => {
    await eventually(async () => expect((await operations.find(keyOrId)).events).toHaveLength(count));
    return operations.find(keyOrId);
  };

  it('is found by its key: every event, what caused it, and what became of it', async () => {
    await shop.place('order 1');
    await eventually(async () => {
      const { handlings } = await operations.find('order 1');
      expect(handlings).toMatchObject([
        { type: 'step.placed', consumer: 'shop', status: 'handled', key: 'order 1' },
        { type: 'step.picked', consumer: 'shop', status: 'handled', key: 'order 1' },
      ]);
    });
    const { events, isCut } = await found('order 1', 3);
    const [placed, picked, sent] = events;
    expect(events).toMatchObject([
      { type: 'step.placed', key: 'order 1', causationId: null, source: 'default' },
      { type: 'step.picked', key: 'order 1', causationId: placed!.id },
      // It has no key: its cause leads to it.
      { type: 'step.sent', key: null, causationId: picked!.id },
    ]);
    expect(isCut).toBe(false);
    await eventually(async () =>
      expect((await operations.find('order 1')).events[0]).toMatchObject({
        status: 'consumed',
        outcomes: [{ consumer: 'shop', outcome: 'handled' }],
      }),
    );

    for (const id of [placed!.id, picked!.id, sent!.id.toUpperCase()])
      expect((await operations.find(id)).events.map(({ type }) => type)).toEqual([
        'step.placed',
        'step.picked',
        'step.sent',
      ]);
    expect((await operations.list({ key: 'order 1' })).map(({ id }) => id)).toEqual([picked!.id, placed!.id]);
    expect((await operations.list({ causationId: placed!.id })).map(({ id }) => id)).toEqual([picked!.id]);
    expect((await operations.listInbox({ key: 'order 1' })).map(({ type }) => type)).toEqual([
      'step.picked',
      'step.placed',
    ]);
    expect(await operations.find('order 1', { dataSource: 'default' })).toMatchObject({ isCut: false });
  });

  it('of something that nobody knows is empty', async () => {
    expect(await operations.find('nothing')).toEqual({ events: [], handlings: [], isCut: false });
    await expect(operations.find('')).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
    await expect(operations.list({ causationId: 'order 1' })).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });

  it('leads up to the causes of an event, and not to what else they have led to', async () => {
    const id = await shop.record(Placed.of('order 2', 'named'));
    const { events } = await found('order 2/1', 3);
    expect(events.map(({ type, key }) => [type, key])).toEqual([
      ['step.placed', 'order 2'],
      ['step.picked', 'order 2/1'],
      ['step.sent', null],
    ]);
    const sibling = await shop.record(Sent.of('order 2'), { causationId: id });
    expect((await operations.find('order 2/1')).events.map((event) => event.id)).not.toContain(sibling);
    expect((await operations.find(id)).events.map((event) => event.id)).toContain(sibling);
  });

  it('stops where it is cut', async () => {
    const root = await shop.record(Sent.of('many'));
    await shop.events.transaction(async () => {
      for (let count = 0; count < 250; count += 1) await shop.events.record(Sent.of('m'), { causationId: root });
    });
    const { events, isCut } = await operations.find(root);
    expect(isCut).toBe(true);
    expect(events).toHaveLength(200);
    expect(events[0]?.id).toBe(root);
  });

  it.each(['apart', 'named'])('goes on through a transaction of the handler (%s)', async (then) => {
    const id = await shop.record(Placed.of(`order ${then}`, then));
    await found(id, 3);
  });

  it('does not go on where the handler has left its call chain', async () => {
    const id = await shop.record(Placed.of('order outside', 'outside'));
    await eventually(async () =>
      expect(await operations.listInbox({ key: 'order outside', type: 'step.picked' })).toHaveLength(1),
    );
    expect(await operations.list({ causationId: id })).toEqual([]);
    expect((await operations.list({ key: 'order outside' })).map(({ causationId }) => causationId)).toEqual([
      null,
      null,
    ]);
  });

  it('goes on in a compensation', async () => {
    const id = await shop.record(Placed.of('order 3', 'reject'));
    const { events } = await found('order 3', 2);
    expect(events).toMatchObject([
      { id, status: 'dead' },
      { type: 'step.sent', causationId: id },
    ]);
  });

  it('has a correlation id, which its events inherit unless they have their own', async () => {
    const headers = { correlationId: 'request 7' };
    const id = await shop.record(Placed.of('order 4'), { headers });
    const { events } = await found(id, 3);
    expect(events.map((event) => event.headers)).toEqual([headers, headers, headers]);
    const other = await shop.record(Placed.of('order 5', 'other'), { headers });
    expect((await found(other, 3)).events.map((event) => event.headers['correlationId'])).toEqual([
      'request 7',
      'its own',
      'its own',
    ]);
  });

  it('is told to handlers', async () => {
    const id = await shop.record(Placed.of('order 6'), { headers: { correlationId: 'c' } });
    const { events } = await found(id, 3);
    const contexts = shop.contexts.filter(({ key }) => key === 'order 6');
    expect(contexts).toMatchObject([
      { eventId: id, causationId: undefined, correlationId: 'c', headers: { correlationId: 'c' } },
      { eventId: events[1]!.id, causationId: id, correlationId: 'c' },
    ]);
    expect(Object.keys(contexts[1]!.headers)).toEqual(['correlationId']);
  });

  it('goes on from a batch where its handler says from which event', async () => {
    const headers = { correlationId: 'of both' };
    const ids = [
      await shop.record(Gathered.of('a'), { headers, key: 'batch a' }),
      await shop.record(Gathered.of('b'), { headers }),
    ];
    await eventually(() => expect(shop.batches).toHaveLength(1));
    const { messages } = shop.batches[0] as BatchContext;
    expect(messages).toMatchObject([
      { eventId: ids[0], key: 'batch a', correlationId: 'of both' },
      { eventId: ids[1] },
    ]);
    await found(ids[0] as string, 2);
    const ofBatch = (await operations.list({ type: 'step.sent' })).filter(({ payload }) =>
      ['of the batch', 'of the first'].includes((payload as Step).order),
    );
    expect(ofBatch).toMatchObject([
      { payload: { order: 'of the first' }, causationId: ids[0], headers },
      { payload: { order: 'of the batch' }, causationId: null, headers },
    ]);
  });

  it.each([
    ['too long', { key: 'x'.repeat(201) }, 'key'],
    ['empty', { key: '' }, 'key'],
    ['no text', { key: 7 as never }, 'key'],
    ['no id', { causationId: 'order 7' }, 'causationId'],
  ])('has no key or cause that is %s: nothing is recorded', async (_what, context, property) => {
    const error = await shop.record(Sent.of('bad'), context).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidEventError);
    expect((error as Error).message).toContain(`${property}: `);
    const orders = (await app.outbox()).map(({ payload }) => (JSON.parse(payload) as Step).order);
    expect(orders).not.toContain('bad');
  });
});
