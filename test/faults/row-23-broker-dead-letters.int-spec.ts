import { randomUUID } from 'node:crypto';
import type { GetMessage, Options } from 'amqplib';
import { EventOperations, type Hooks } from 'nestjs-reliable-mq';
import type { RabbitmqNode } from '../../tools/servers/rabbitmq';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import type { TestApp } from '../support/test-app';
import { HEADER } from '../support/wire-headers';
import { ConsumerField } from './support/consumer-process';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

jest.setTimeout(240_000);

const servers = usePrivateServers();

describe('When a policy makes the broker dead-letter messages of an event queue', () => {
  let node: RabbitmqNode;
  let landscape: Landscape;
  let parked: string;
  let deadLettered: Parameters<Hooks['deadLettered']>[0][];
  let parkedHooks: Parameters<Hooks['parked']>[0][];

  beforeAll(async () => {
    node = await servers.rabbitmq();
  }, 120_000);
  beforeEach(async () => {
    landscape = await Landscape.create(node.url);
    parked = `${landscape.stockService}.parked`;
    deadLettered = [];
    parkedHooks = [];
    await landscape.declareStockQueue();
  });
  afterEach(async () => {
    await landscape.dispose();
    await policy({ 'max-length': 1 }, 'no queue'); // in the place of the test's own
  });

  function policy(definition: object, queues = landscape.queue): Promise<string> {
    return node.ctl('set_policy', 'operator', `^${queues}$`, JSON.stringify(definition), '--apply-to', 'queues');
  }

  function stock(): Promise<TestApp> {
    const hooks: Partial<Hooks> = {
      deadLettered: (message) => deadLettered.push(message),
      parked: (message) => parkedHooks.push(message),
    };
    return landscape.stock({ hooks });
  }

  /** As another program sends a message. @returns its id */
  async function send(body: unknown = { orderId: randomUUID(), quantity: 1 }, more: Options.Publish = {}) {
    const messageId = randomUUID();
    const properties = { messageId, type: 'order.placed', persistent: true, ...more };
    await landscape.onChannel(async (channel) => {
      channel.publish(landscape.exchange, 'order.placed', Buffer.from(JSON.stringify(body)), properties);
      await channel.close();
    });
    return messageId;
  }

  /** As a consumer that loses its connection each time before it has acknowledged. */
  async function takeAndLose(times: number): Promise<void> {
    for (let count = 0; count < times; count += 1) {
      await eventually(() =>
        landscape.onChannel(async (channel) => {
          const got = await channel.get(landscape.queue);
          return got !== false;
        }),
      );
    }
  }

  async function reject(): Promise<void> {
    await landscape.onChannel(async (channel) => {
      channel.reject((await eventually(() => channel.get(landscape.queue))) as GetMessage, false);
      await channel.close();
    });
  }

  const isParked = (count: number): Promise<void> =>
    eventually(async () => expect(await landscape.messageCount(parked)).toBe(count));

  async function copies(): Promise<GetMessage[]> {
    return landscape.onChannel(async (channel) => {
      const all: GetMessage[] = [];
      for (let got = await channel.get(parked); got; got = await channel.get(parked)) all.push(got);
      return all;
    });
  }

  const handled = (count: number): Promise<void> =>
    eventually(async () => expect(await landscape.effects()).toHaveLength(count));

  it('(message-ttl, while the consumer is away) they are handled when it is back, and their events end consumed', async () => {
    await policy({ 'message-ttl': 100 });
    const shop = await landscape.shop();
    await shop.get(OrderService).placeMany(3);
    await isParked(3);

    await stock();

    await landscape.untilConsumed(3);
    for (const row of await landscape.rows()) expect(row).toMatchObject({ attempts: 1 });
    const ids = (await landscape.rows()).map(({ id }) => id);
    expect(deadLettered.map(({ messageId }) => messageId).sort()).toEqual(ids.sort());
    const { queue, stockService: consumer } = landscape;
    expect(deadLettered[0]).toMatchObject({ queue, consumer, reason: 'expired' });
    expect(parkedHooks).toEqual([]);
    await isParked(0);
  });

  it('(message-ttl, while the consumer is there) they are handled without a restart', async () => {
    await policy({ 'message-ttl': 100 });
    await stock();
    const shop = await landscape.shop();
    await landscape.database.locking('effect', undefined, async () => {
      await shop.get(OrderService).placeMany(15);
      // The handler has as many as it may have, and what it has not got has expired.
      await eventually(async () => {
        for (const row of await landscape.rows()) expect(row).toMatchObject({ status: 'published' });
        expect(await landscape.messageCount(landscape.queue)).toBe(0);
      });
    });
    await landscape.untilConsumed(15);
    expect(deadLettered).toHaveLength(5);
  });

  it('(delivery-limit) they are handled, once', async () => {
    await policy({ 'delivery-limit': 2 });
    const id = await send();
    await takeAndLose(3);
    await isParked(1);

    const app = await stock();

    await handled(1);
    await eventually(() => expect(deadLettered).toMatchObject([{ messageId: id, reason: 'delivery_limit' }]));
    const key = { eventId: id, consumer: landscape.stockService };
    await expect(app.get(EventOperations).listInbox(key)).resolves.toMatchObject([{ status: 'handled', attempts: 1 }]);
    await isParked(0);
  });

  it('(max-length with drop-head) none is lost', async () => {
    await policy({ 'max-length': 1, overflow: 'drop-head' });
    for (let count = 0; count < 5; count += 1) await send();
    await isParked(4);
    await stock();
    await handled(5);
    expect(deadLettered.map(({ reason }) => reason)).toEqual(Array.from({ length: 4 }, () => 'maxlen'));
  });

  it('(a program that rejects them) they are handled', async () => {
    const id = await send();
    await reject();
    await isParked(1);
    await stock();
    await handled(1);
    await eventually(() => expect(deadLettered).toMatchObject([{ messageId: id, reason: 'rejected' }]));
  });

  it('those that no handler can take are parked, where people find them, and are not taken again', async () => {
    const id = await send({ quantity: 'many' });
    await reject();
    await isParked(1);
    const app = await stock();
    await eventually(() => expect(parkedHooks).toMatchObject([{ messageId: id }]));
    await isParked(1);
    const again = await restarted(app);
    await again.close();
    expect([deadLettered.length, parkedHooks.length]).toEqual([1, 1]);
    const [copy] = await copies();
    expect(copy?.properties.headers).toMatchObject({
      [HEADER.reason]: expect.stringContaining('its payload is invalid') as string,
      'reliable-mq-queue': landscape.queue,
      'reliable-mq-x-death': [{ reason: 'rejected', queue: landscape.queue }],
    });
    expect(copy?.properties.headers).not.toHaveProperty('x-death');
  });

  it('one that its publisher let expire is parked with the reason, and handled when a person says so', async () => {
    const id = await send(undefined, { expiration: '1' });
    await isParked(1);
    const app = await stock();
    await eventually(() => expect(parkedHooks).toMatchObject([{ messageId: id }]));
    expect(parkedHooks[0]?.reason).toContain('its publisher wanted it to live for 1 ms only');
    const operations = app.get(EventOperations);
    const rejected = await operations.listInbox({ consumer: landscape.stockService, status: 'rejected' });
    expect(rejected).toMatchObject([{ reason: parkedHooks[0]?.reason }]);
    expect(await landscape.effects()).toEqual([]);
    await expect(operations.retryInbox(rejected)).resolves.toBe(1);
    await handled(1);
  });

  it('what was parked stays whole beside them, however often it is looked through, also where deliveries are limited', async () => {
    const app = await stock();
    const bad = [];
    for (let count = 0; count < 3; count += 1) bad.push(await send({ quantity: count }, { correlationId: 'c-1' }));
    await isParked(3);
    await policy({ 'delivery-limit': 1, 'message-ttl': 60_000 }, `(${landscape.queue}|${parked})`);
    let again = app;
    for (let count = 0; count < 4; count += 1) again = await restarted(again);
    await landscape.close(again);

    const left = await copies();
    expect(left.map(({ properties }) => properties.messageId as string).sort()).toEqual(bad.sort());
    for (const { properties, content } of left) {
      expect(properties).toMatchObject({ correlationId: 'c-1', type: 'order.placed' });
      expect(properties.headers).toMatchObject({ [HEADER.consumer]: landscape.stockService });
      expect(JSON.parse(content.toString())).toHaveProperty('quantity');
    }
  });

  /** One start is one look through the parking queue; it is over when a message that was dead-lettered behind the others is handled. */
  async function restarted(app: TestApp): Promise<TestApp> {
    await landscape.close(app);
    const before = (await landscape.effects()).length;
    const waiting = await landscape.messageCount(parked);
    await send();
    await reject();
    await isParked(waiting + 1);
    const next = await stock();
    await handled(before + 1);
    await isParked(waiting);
    deadLettered.pop();
    return next;
  }
});

describe('When a message that kills its process is dead-lettered for it', () => {
  let field: ConsumerField;
  let node: RabbitmqNode;

  beforeEach(async () => {
    node = await servers.rabbitmq();
    field = await ConsumerField.create(node.url);
  }, 120_000);
  afterEach(() => field.close());

  it('it is dead after three starts, and its neighbours are handled', async () => {
    await (await field.start()).stop();
    await node.ctl('set_policy', 'operator', `^${field.queue}$`, '{"delivery-limit":0}', '--apply-to', 'queues');
    const killer = field.publish('kill');
    const innocent = Array.from({ length: 4 }, (_, index) => field.publish(`load ${index}`));

    for (let starts = 0; (await field.row(killer))?.status !== 'dead'; starts += 1) {
      expect(starts).toBeLessThan(10);
      const app = await field.start();
      await Promise.race([app.exited, field.settled(killer, 'dead')]);
      await field.expireLeases();
    }

    await field.receipt(killer, 'dead');
    for (const id of innocent) await field.settled(id, 'handled');
    await expect(field.effects()).resolves.toEqual(Object.fromEntries(innocent.map((id) => [id, 1])));
  });
});
