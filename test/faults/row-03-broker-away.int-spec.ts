import type { RabbitmqNode } from '../../tools/servers/rabbitmq';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import type { TestApp } from '../support/test-app';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

jest.setTimeout(120_000);

describe('When the broker is not there, or says no', () => {
  const servers = usePrivateServers();
  let node: RabbitmqNode;
  let landscape: Landscape;

  beforeAll(async () => {
    node = await servers.rabbitmq();
  }, 120_000);
  beforeEach(async () => {
    landscape = await Landscape.create(node.url);
  });
  afterEach(() => landscape.dispose());

  function place(shop: TestApp, count: number): Promise<unknown> {
    return Promise.all(Array.from({ length: count }, () => shop.get(OrderService).place()));
  }

  it('an outage burns no attempts: events stay pending with the reason, and are published when it is over', async () => {
    const shop = await landscape.shop();
    await landscape.stock();
    await place(shop, 1);
    await landscape.untilConsumed(1);
    try {
      await node.stop();
      await eventually(async () => {
        await place(shop, 1);
        expect((await landscape.rows()).at(-1)).toMatchObject({
          reason: expect.stringContaining('not connected to amqp://') as string,
        });
      });
      await place(shop, 10);
      // Long enough for leases to run out and for jobs to look many times.
      await landscape.database.passed(2_500);
      const waiting = (await landscape.rows()).slice(1);
      expect(waiting.length).toBeGreaterThan(10);
      for (const row of waiting) {
        expect(row).toMatchObject({
          status: 'pending',
          attempts: 0,
          history: [],
          reason: expect.stringMatching(/connect/) as string,
        });
      }
    } finally {
      await node.start();
    }
    const rows = await landscape.rows();
    await landscape.untilConsumed(rows.length);
    for (const row of await landscape.rows()) expect(row).toMatchObject({ attempts: 1, history: [], reason: null });
  });

  it('the broker closes every connection again and again: nothing is lost, and no attempt has failed', async () => {
    const shop = await landscape.shop({ receipts: { chaseAfterMs: 1000 } });
    await landscape.stock();
    for (let round = 1; round <= 3; round += 1) {
      await Promise.all([place(shop, 50), node.closeAllConnections('a test')]);
    }
    await landscape.untilConsumed(150);
    for (const row of await landscape.rows()) expect(row.history).toEqual([]);
  });

  it('a blocked connection: events stay pending, and the reason says so', async () => {
    const shop = await landscape.shop();
    await landscape.stock();
    await place(shop, 1);
    await landscape.untilConsumed(1);
    try {
      await node.setMemoryAlarm(true);
      await eventually(async () => {
        await place(shop, 1);
        expect((await landscape.rows()).at(-1)).toMatchObject({
          reason: expect.stringContaining('blocked by the broker') as string,
        });
      });
      await place(shop, 5);
      for (const row of (await landscape.rows()).slice(1))
        expect(row).toMatchObject({ status: 'pending', history: [] });
    } finally {
      await node.setMemoryAlarm(false);
    }
    await landscape.untilConsumed((await landscape.rows()).length);
  });

  it('a nack is an attempt: tried again with backoff, with the reason in its history, until the broker takes it', async () => {
    const shop = await landscape.shop();
    const full = `${landscape.rabbitmq.prefix}full`;
    await landscape.onChannel(async (channel) => {
      await channel.assertQueue(full, {
        durable: true,
        arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' },
      });
      await channel.bindQueue(full, landscape.exchange, 'order.placed');
    });
    await place(shop, 1);
    await eventually(async () => {
      const row = await landscape.row();
      expect(row).toMatchObject({ status: 'pending', reason: 'the broker refused the message (basic.nack)' });
      expect(row.history.map(({ attempt }) => attempt).slice(0, 3)).toEqual([1, 2, 3]);
    });
    await landscape.stock();
    await landscape.deleteQueue(full);
    await landscape.untilConsumed(1);
  });

  it('an event that the broker refuses to the last ends dead with the reason', async () => {
    const dead: unknown[] = [];
    const shop = await landscape.shop({ publish: { maxAttempts: 3 }, hooks: { dead: (event) => dead.push(event) } });
    const full = `${landscape.rabbitmq.prefix}full`;
    await landscape.onChannel(async (channel) => {
      await channel.assertQueue(full, {
        durable: true,
        arguments: { 'x-max-length': 0, 'x-overflow': 'reject-publish' },
      });
      await channel.bindQueue(full, landscape.exchange, 'order.placed');
    });
    await place(shop, 1);
    await eventually(async () => expect(await landscape.row()).toMatchObject({ status: 'dead', attempts: 3 }));
    const reason = 'given up after 3 attempts to publish: the broker refused the message (basic.nack)';
    const { id, history, ...row } = await landscape.row();
    expect(row.reason).toBe(reason);
    expect(history).toHaveLength(3);
    await eventually(() => expect(dead).toEqual([{ eventId: id, type: 'order.placed', reason }]));
    await landscape.deleteQueue(full);
  });
});
