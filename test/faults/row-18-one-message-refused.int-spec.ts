import { Injectable } from '@nestjs/common';
import { IsInt } from 'class-validator';
import { EventRecorder, ReliableEvent } from 'nestjs-reliable-mq';
import type { RabbitmqNode } from '../../tools/servers/rabbitmq';
import type { OutboxRow } from '../support/database';
import { eventually } from '../support/eventually';
import { usePrivateServers } from '../support/private-servers';
import type { TestApp } from '../support/test-app';
import { Landscape } from './support/landscape';
import { OrderService } from './support/order-service';

jest.setTimeout(120_000);

/** The attempts of these tests follow each other a thousand times faster than in production. */
const MANY_ATTEMPTS = { maxAttempts: 1_000 };

@ReliableEvent({ type: 'secret.made', confirm: false })
class SecretMade {
  @IsInt() n!: number;
}

@Injectable()
class SecretService {
  constructor(private readonly events: EventRecorder) {}

  make(n: number): Promise<string> {
    return this.events.transaction(() => this.events.record(Object.assign(new SecretMade(), { n })));
  }
}

describe('When the broker refuses one message of many', () => {
  const servers = usePrivateServers();
  let node: RabbitmqNode;
  let landscape: Landscape;

  beforeAll(async () => {
    node = await servers.rabbitmq();
    await node.ctl('add_user', 'limited', 'limited');
    await node.ctl('set_permissions', 'limited', '.*', '.*', '.*');
  }, 120_000);
  beforeEach(async () => {
    landscape = await Landscape.create(node.url);
  });
  afterEach(() => landscape.dispose());

  const limited = (): string => node.url.replace('guest:guest', 'limited:limited');
  const rowsOf = async (type: string): Promise<OutboxRow[]> =>
    (await landscape.rows()).filter((row) => row.type === type);

  /** Everything that was placed meanwhile has been handled once, without an attempt that failed. */
  async function expectOrdersUnharmed(count: number): Promise<void> {
    await eventually(async () => {
      const rows = await rowsOf('order.placed');
      expect(rows.filter(({ status }) => status === 'consumed')).toHaveLength(count);
    });
    for (const row of await rowsOf('order.placed')) expect(row.history).toEqual([]);
    expect(await landscape.effects()).toHaveLength(count);
  }

  function place(shop: TestApp, count: number): Promise<unknown> {
    return Promise.all(Array.from({ length: count }, () => shop.get(OrderService).place()));
  }

  it('for a missing right to one type, the others lose no attempt, and its events go out once it is granted', async () => {
    await landscape.stock();
    await landscape.onChannel(async (channel) => {
      await channel.assertQueue(`${landscape.rabbitmq.prefix}secrets`, { durable: true });
      await channel.bindQueue(`${landscape.rabbitmq.prefix}secrets`, landscape.exchange, 'secret.made');
    });
    await node.ctl('set_topic_permissions', 'limited', landscape.exchange, '^order\\.', '.*');
    const shop = await landscape.shop(
      { publish: MANY_ATTEMPTS, rabbitmq: { uri: limited(), exchange: landscape.exchange, reconnectMs: 100 } },
      [OrderService, SecretService],
    );

    for (let round = 1; round <= 10; round += 1) {
      await Promise.all([place(shop, 20), shop.get(SecretService).make(round)]);
    }

    await expectOrdersUnharmed(200);
    await eventually(async () => {
      for (const { status, reason } of await rowsOf('secret.made')) {
        expect([status, reason]).toEqual(['pending', expect.stringContaining("access to topic 'secret.made'")]);
      }
    });
    await node.ctl('set_topic_permissions', 'limited', landscape.exchange, '.*', '.*');
    await eventually(async () => {
      expect(new Set((await rowsOf('secret.made')).map(({ status }) => status))).toEqual(new Set(['published']));
    });
    await landscape.deleteQueue(`${landscape.rabbitmq.prefix}secrets`);
  });

  it('for a full queue, its events wait, and go out when there is room or the bound is lifted', async () => {
    await landscape.declareStockQueue();
    await node.ctl('set_policy', 'bound', `^${landscape.queue}$`, '{"max-length": 5}', '--apply-to', 'queues');
    const shop = await landscape.shop({ publish: MANY_ATTEMPTS });
    await place(shop, 20);
    await eventually(async () => {
      const refused = (await rowsOf('order.placed')).filter(({ reason }) => reason?.includes('basic.nack'));
      expect(refused.length).toBeGreaterThan(5);
    });

    await node.ctl('clear_policy', 'bound');

    await landscape.stock();
    await landscape.untilConsumed(20);
  });
});
