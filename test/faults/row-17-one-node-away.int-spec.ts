import type { RabbitmqCluster, RabbitmqNode } from '../../tools/servers/rabbitmq';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import type { TestApp } from '../support/test-app';
import { Landscape } from './support/landscape';
import { CompensatingOrderService } from './support/order-service';

jest.setTimeout(180_000);

/** What takes hours in production takes seconds here: an event without a receipt would be dead after some four of them. */
const HASTY = {
  receipts: { chaseAfterMs: 500 },
  publish: { maxAttempts: 3, backoff: { initialMs: 200, maxMs: 1000, jitter: 0 } },
} as const;

describe('When one node of three is away', () => {
  const servers = usePrivateServers();
  let cluster: RabbitmqCluster;
  let landscape: Landscape;
  let shop: TestApp;

  beforeAll(async () => {
    cluster = await servers.cluster();
  }, 180_000);
  beforeEach(async () => {
    // Administration by the first node that is not stopped, business by all of them.
    landscape = await Landscape.create(cluster.nodes.map(({ url }) => url));
    shop = await landscape.shop(HASTY, [CompensatingOrderService]);
    await landscape.stock();
    await place(1);
    await landscape.untilConsumed(1);
  });
  afterEach(async () => {
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await landscape.dispose();
  });

  function place(count: number): Promise<unknown> {
    const service = shop.get(CompensatingOrderService);
    return Promise.all(Array.from({ length: count }, () => service.place()));
  }

  it.each([0, 2])(
    'every handled event ends consumed and none is compensated, whichever node it is (node %i)',
    async (index) => {
      const node = cluster.nodes[index] as RabbitmqNode;
      await node.stop();
      await place(20);
      await landscape.untilConsumed(21);
      for (const { status } of await landscape.rows()) expect(status).toBe('consumed');
      expect(shop.get(CompensatingOrderService).failures).toEqual([]);
    },
  );
});

describe('When receipts cannot be received while events are published', () => {
  let landscape: Landscape;

  beforeEach(async () => {
    landscape = await Landscape.create();
  });
  afterEach(() => landscape.dispose());

  it('no event is chased or given up, and all end consumed when they can be again', async () => {
    // The name is taken by a queue that only this connection may use: what consumers send goes there.
    const taken = await landscape.takeQueueName(landscape.receiptQueue);
    const shop = await landscape.shop(HASTY, [CompensatingOrderService]);
    await landscape.stock();
    const service = shop.get(CompensatingOrderService);
    await Promise.all(Array.from({ length: 5 }, () => service.place()));
    await eventually(async () => expect(await landscape.effects()).toHaveLength(5));
    await landscape.database.passed(6_000);
    for (const row of await landscape.rows()) expect(row).toMatchObject({ status: 'published', attempts: 1 });
    await taken.release();
    await landscape.untilConsumed(5);
    expect(service.failures).toEqual([]);
  });
});
