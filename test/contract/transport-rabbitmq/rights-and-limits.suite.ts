import { InvalidSetupError } from '../../../libs/reliable-mq/src/event/errors';
import type { QueueSpec } from '../../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../../support/eventually';
import { silentLogger } from '../transport-silent-logger';
import { available, collector, publish } from '../transport-requests';
import type { PrivateBroker } from './private-broker';

/** A broker with limits, and users who may not do all. */
export function rightsAndLimitsSuite(broker: () => PrivateBroker): void {
  let count = 0;

  function eventsQueue(): QueueSpec {
    const name = broker().harness.queueName(`stock.s${(count += 1)}`);
    return { name, kind: 'events', bindings: [name], parkingQueue: broker().harness.queueName('stock.parked') };
  }

  it('says in its own words that a virtual host takes no more queues, advises no deletion, and consumes once it does', async () => {
    await broker().node.ctl('add_vhost', 'small');
    await broker().node.ctl('set_permissions', '-p', 'small', 'guest', '.*', '.*', '.*');
    await broker().node.ctl('set_vhost_limits', '-p', 'small', '{"max-queues": 1}');
    const lines: string[] = [];
    const tell = (line: string): number => lines.push(line);
    const logger = { ...silentLogger, log: tell, error: tell };
    const transport = await broker().startedAt(`${broker().node.url}/small`, { logger });
    const deliveries = collector();
    const spec = eventsQueue();

    await transport.subscribe(spec, 1, deliveries.take);

    await eventually(() => expect(transport.status().reason).toContain('queue limit in vhost'));
    expect(transport.status().reason).not.toMatch(/delete|other properties/);
    await eventually(() => expect(broker().node.log().split("queue limit in vhost 'small'").length).toBeGreaterThan(4));
    await broker().node.ctl('clear_vhost_limits', '-p', 'small');
    await eventually(() => expect(transport.status()).toEqual({ available: true }));
    await publish(transport, { queue: spec.name });
    await deliveries.next(1);
    expect(lines.filter((line) => line.includes('consumed'))).toEqual([
      'RabbitMQ queue cannot be consumed',
      'RabbitMQ queue is consumed again',
    ]);
  });

  it('says that a virtual host takes no more connections, and connects once it does', async () => {
    await broker().node.ctl('add_vhost', 'narrow');
    await broker().node.ctl('set_permissions', '-p', 'narrow', 'guest', '.*', '.*', '.*');
    await broker().node.ctl('set_vhost_limits', '-p', 'narrow', '{"max-connections": 0}');
    const transport = await broker().startedAt(`${broker().node.url}/narrow`);
    await eventually(() => expect(transport.status().reason).toContain('allows no more connections'));
    await broker().node.ctl('clear_vhost_limits', '-p', 'narrow');
    await available(transport);
  });

  it('says once that a user may open no more channels, however often the broker closes its connections for it', async () => {
    const lines: string[] = [];
    const tell = (line: string): number => lines.push(line);
    await broker().node.ctl('set_permissions', 'limited', '.*', '.*', '.*');
    await broker().node.ctl('set_user_limits', 'limited', '{"max-channels": 0}');
    const attempts = (): number => broker().node.log().split('accepting AMQP connection').length;
    const before = attempts();
    const transport = await broker().startedAt(broker().asLimited(), {
      logger: { ...silentLogger, log: tell, warn: tell },
    });
    try {
      await eventually(() => expect(attempts()).toBeGreaterThan(before + 10));
      await eventually(() => expect(transport.status().reason).toContain('maximum allowed user limit'));
    } finally {
      await broker().node.ctl('clear_user_limits', 'limited', 'all');
    }
    await available(transport);

    // Of two connections, one that publishes and one that consumes.
    const count = (text: string): number => lines.filter((line) => line === text).length;
    expect(count('RabbitMQ is not connected')).toBeLessThanOrEqual(2);
    expect(count('RabbitMQ connected')).toBeLessThanOrEqual(2);
  });

  it('does with the rights that are documented, and says which one is missing', async () => {
    const documented = (rights: string): string => `^(${broker().harness.exchange}|.*stock\\..*${rights})$`;
    await broker().node.ctl('set_permissions', 'limited', documented(''), documented(''), documented(''));
    const transport = await broker().startedAt(broker().asLimited());
    const deliveries = collector();
    const spec = eventsQueue();
    await transport.subscribe(spec, 1, deliveries.take);
    await eventually(() =>
      expect(transport.status().reason).toMatch(/access to exchange 'amq\.default'.*docs\/production\.md/),
    );

    await broker().node.ctl('set_permissions', 'limited', documented(''), documented('|amq\\.default'), documented(''));

    await eventually(() => expect(transport.status()).toEqual({ available: true }));
    expect(await publish(transport, { routingKey: spec.name })).toEqual({ status: 'routed' });
    expect(await publish(transport, { queue: spec.parkingQueue ?? '' })).toEqual({ status: 'routed' });
    await deliveries.next(1);
  });

  it('(verify) needs no right to configure, declares nothing, and says what is to be declared', async () => {
    await broker().node.ctl('set_permissions', 'limited', '^$', '.*', '.*');
    const owner = await broker().startedAt(broker().node.url);
    await available(owner);
    const [spec, missing] = [eventsQueue(), eventsQueue()];
    await (await owner.subscribe(spec, 1, () => undefined)).close();
    const transport = await broker().startedAt(broker().asLimited(), { topology: 'verify' });
    const deliveries = collector();

    await transport.subscribe(spec, 1, deliveries.take);
    const refused = transport.subscribe(missing, 1, deliveries.take);

    await expect(refused).rejects.toThrow(InvalidSetupError);
    await expect(refused).rejects.toThrow(`Queue "${missing.name}" does not exist`);
    await expect(refused).rejects.toThrow(`rabbitmqadmin declare queue name=${missing.name} durable=true arguments='{`);
    await expect(refused).rejects.toThrow(
      `rabbitmqadmin declare binding source=${broker().harness.exchange} destination=${missing.name} routing_key=${missing.name}`,
    );
    expect(await publish(transport, { routingKey: spec.name })).toEqual({ status: 'routed' });
    await deliveries.next(1);
    await broker().harness.unbind(spec.name, spec.name);
    await transport.refreshTopology();
    expect((await publish(transport, { routingKey: spec.name })).status).toBe('unroutable');
    expect(transport.status()).toEqual({ available: true });
  });

  it.each([
    ['of its own', true, false],
    ['that its operator has declared', false, true],
  ])('takes from a queue %s with a single active consumer', async (_, singleActiveConsumer, byOperator) => {
    const spec = eventsQueue();
    if (byOperator) {
      await broker().harness.ask((channel) =>
        channel.assertQueue(spec.name, {
          durable: true,
          arguments: {
            'x-queue-type': 'quorum',
            'x-single-active-consumer': true,
            'x-overflow': 'reject-publish',
            'x-delivery-limit': 2_147_483_647,
            'x-dead-letter-exchange': '',
            'x-dead-letter-routing-key': spec.parkingQueue,
            'x-dead-letter-strategy': 'at-least-once',
          },
        }),
      );
    }
    const [first, second] = [
      await broker().startedAt(broker().node.url, { singleActiveConsumer }),
      await broker().startedAt(broker().node.url, { singleActiveConsumer }),
    ];
    await available(first);
    const [ofFirst, ofSecond] = [collector(), collector()];
    const subscription = await first.subscribe(spec, 1, ofFirst.take);
    await second.subscribe(spec, 1, ofSecond.take);

    for (let index = 0; index < 5; index += 1) await publish(first, { routingKey: spec.name });
    await ofFirst.next(5);
    await subscription.close();
    await publish(first, { routingKey: spec.name });
    await ofSecond.next(1);
    await first.refreshTopology();
    expect(first.status()).toEqual({ available: true });
  });
}
