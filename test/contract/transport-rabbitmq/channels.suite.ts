import { connect } from 'amqplib';
import { eventually } from '../../support/eventually';
import { available, collector, message, publish, publishMany } from '../transport-requests';
import { countOf, load, MAX_MESSAGE_BYTES, type PrivateBroker } from './private-broker';

/** Exchange, channels and single messages. */
export function channelsSuite(broker: () => PrivateBroker): void {
  describe('the exchange', () => {
    it('is declared again, with the bindings, when somebody deletes it under load', async () => {
      const transport = await broker().started();
      const { spec, type } = broker().eventsQueue();
      await transport.subscribe(spec, 1, () => undefined);
      const under = load(transport, type);
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(100));

      await broker().node.deleteExchange(broker().harness.exchange);

      await eventually(() => expect(countOf(under, 'unavailable')).toBeGreaterThan(0));
      const before = countOf(under, 'routed');
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
      await under.stop();
      expect(countOf(under, 'refused')).toBe(0);
    });

    it('that exists with another type is named in the status, and used once it is mended', async () => {
      const exchange = broker().harness.queueName('other.exchange');
      await broker().harness.ask((channel) => channel.assertExchange(exchange, 'fanout', { durable: true }));
      const transport = broker().harness.create({ exchange });
      broker().closing(transport);
      await transport.start();

      await eventually(() => expect(transport.status().reason).toContain('exists with other properties'));
      expect(transport.status()).toMatchObject({ available: false, reason: expect.stringContaining(exchange) });
      expect(transport.status().reason).toContain('PRECONDITION_FAILED');
      expect(transport.status().reason).toContain('rabbitmq.exchange');

      await broker().node.deleteExchange(exchange);
      await available(transport);
      await broker().node.deleteExchange(exchange);
    });
  });

  describe('a channel that the server closes', () => {
    it('ends what was in flight refused, with the words of the server, and is opened again', async () => {
      const transport = await broker().started();
      const { type } = await broker().declared(transport);

      const tooLarge = await publish(transport, { routingKey: type }, { body: Buffer.alloc(MAX_MESSAGE_BYTES + 1) });

      expect(tooLarge).toEqual({
        status: 'refused',
        reason: expect.stringMatching(/^PRECONDITION_FAILED - message size/),
      });
      await available(transport);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('is opened again for sending, too', async () => {
      const transport = await broker().started();
      const { spec } = await broker().declared(transport);
      await eventually(() =>
        transport.send(message({ queue: spec.name }, { body: Buffer.alloc(MAX_MESSAGE_BYTES + 1) })),
      );
      await eventually(async () => {
        transport.send(message({ queue: spec.name }));
        expect(await broker().harness.waiting(spec.name)).toBeGreaterThan(0);
      });
      expect(transport.status()).toEqual({ available: true });
    });

    it('because a delivery was held too long, delivers again; from RabbitMQ 4.3 on none is held too long', async () => {
      const [, major = 0, minor = 0] = (/(\d+)\.(\d+)/.exec(broker().node.version) ?? []).map(Number);
      if (major > 4 || (major === 4 && minor >= 3)) {
        const transport = await broker().started();
        await transport.subscribe(broker().eventsQueue().spec, 1, (delivery) => delivery.ack());
        expect(await broker().node.ctl('list_consumers', 'arguments')).toContain('x-consumer-timeout');
        return;
      }
      await broker().node.ctl(
        'eval',
        'application:set_env(rabbit, channel_tick_interval, 300), application:set_env(rabbit, consumer_timeout, 500).',
      );
      try {
        const transport = await broker().started();
        const { spec, type } = broker().eventsQueue();
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 1, deliveries.take);
        await publishMany(transport, type, 1);

        const [late, again] = await deliveries.next(2);
        late?.ack(); // on the closed channel: does nothing
        again?.ack();

        expect(again?.message).toMatchObject({ messageId: '0', redelivered: true });
        await eventually(() => expect(transport.status()).toEqual({ available: true }));
      } finally {
        await broker().node.ctl(
          'eval',
          'application:set_env(rabbit, channel_tick_interval, 60000), application:set_env(rabbit, consumer_timeout, 1800000).',
        );
      }
    }, 60_000);
  });

  describe('a message', () => {
    it('that cannot be encoded is refused, and shifts no confirm of the others', async () => {
      const transport = await broker().started();
      const { type } = await broker().declared(transport);
      const bad = { headers: { fn: (() => undefined) as unknown as string } };

      const outcomes = await Promise.all([
        publish(transport, { routingKey: type }),
        publish(transport, { routingKey: type }, bad),
        publish(transport, { routingKey: 'nowhere' }),
        publish(transport, { routingKey: type }, { messageId: 'x'.repeat(300) }),
        publish(transport, { routingKey: type }),
      ]);

      expect(outcomes.map(({ status }) => status)).toEqual(['routed', 'refused', 'unroutable', 'refused', 'routed']);
      expect(outcomes[1]).toMatchObject({ reason: expect.stringContaining('cannot be encoded') });
    });

    it('that a full queue does not take is refused', async () => {
      const transport = await broker().started();
      const queue = broker().harness.queueName('full');
      await broker().harness.ask((channel) =>
        channel.assertQueue(queue, { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } }),
      );
      await publish(transport, { queue });

      expect(await publish(transport, { queue })).toEqual({
        status: 'refused',
        reason: 'the broker refused the message (basic.nack)',
      });
    });

    it('is not dropped by the queue however often it comes back', async () => {
      const transport = await broker().started();
      const { spec, type } = await broker().declared(transport);
      await publishMany(transport, type, 1);
      await broker().harness.ask(async (channel) => {
        for (let time = 0; time < 50; time += 1) {
          const raw = await eventually(() => channel.get(spec.name));
          if (raw) channel.nack(raw, false, true);
        }
      });
      await eventually(async () => expect(await broker().harness.waiting(spec.name)).toBe(1));
    });
  });

  it('needs no more than one look at its connections to be recognised', async () => {
    await broker().started();
    const names = await broker().node.ctl('--quiet', 'list_connections', '--no-table-headers', 'client_properties');
    expect(names).toContain('contract (publish)');
    expect(names).toContain('contract (consume)');
  });

  it('finds its messages on disk: persistent, with a time', async () => {
    const transport = await broker().started();
    const { spec, type } = await broker().declared(transport);
    await publish(transport, { routingKey: type });
    const connection = await connect(broker().node.url);
    const channel = await connection.createChannel();
    const found = await channel.get(spec.name, { noAck: true });
    await connection.close();
    if (!found) throw new Error('the queue is empty');
    expect(found.properties).toMatchObject({
      deliveryMode: 2,
      contentType: 'application/json',
      timestamp: expect.any(Number),
    });
  });
}
