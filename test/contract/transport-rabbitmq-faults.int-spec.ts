import { createServer, type AddressInfo, type Socket } from 'node:net';
import { connect } from 'amqplib';
import type { RabbitMqTransport } from '../../libs/reliable-mq/src/broker/rabbitmq/rabbitmq-transport';
import type { PublishOutcome, QueueSpec, Transport } from '../../libs/reliable-mq/src/broker/transport';
import { startRabbitmq, type RabbitmqNode } from '../../tools/servers/rabbitmq';
import { eventually } from '../support/eventually';
import { RabbitMqHarness, createTransport, type TransportSettings } from './transport-rabbitmq-harness';
import { available, collector, message, publish, publishMany, unavailable } from './transport-requests';

jest.setTimeout(120_000);

const MAX_MESSAGE_BYTES = 200_000;
/** Longer than any bounded step of closing, far below what TCP would take. */
const CLOSES_WITHIN_MS = 6_000;

describe('RabbitMqTransport, when things break', () => {
  let node: RabbitmqNode;
  let harness: RabbitMqHarness;
  const transports: Transport[] = [];
  let count = 0;

  beforeAll(async () => {
    node = await startRabbitmq({ config: { max_message_size: String(MAX_MESSAGE_BYTES) } });
    harness = await RabbitMqHarness.open(node.url);
  }, 120_000);

  afterEach(async () => {
    harness.proxy.blackhole(false);
    await harness.goOnline();
    await Promise.all(transports.splice(0).map((transport) => transport.close()));
  });

  afterAll(async () => {
    await harness.dispose();
    await node.dispose();
  }, 60_000);

  async function started(settings: TransportSettings = {}): Promise<RabbitMqTransport> {
    const transport = harness.create(settings);
    transports.push(transport);
    await transport.start();
    await available(transport);
    return transport;
  }

  function eventsQueue(): { spec: QueueSpec; type: string } {
    const name = harness.queueName(`f${(count += 1)}`);
    return {
      type: name,
      spec: { name, kind: 'events', bindings: [name], parkingQueue: harness.queueName(`f${count}.parking`) },
    };
  }

  async function declared(transport: Transport): Promise<{ spec: QueueSpec; type: string }> {
    const made = eventsQueue();
    await (await transport.subscribe(made.spec, 1, () => undefined)).close();
    return made;
  }

  /** Publishes in a window of 100 until it is stopped. */
  function load(
    transport: Transport,
    type: string,
  ): { readonly outcomes: Map<string, number>; routed(): string[]; stop(): Promise<void> } {
    const outcomes = new Map<string, number>();
    const routed: string[] = [];
    let open = 0;
    let sent = 0;
    let stopped = false;
    let finished: () => void = () => undefined;
    const ended = new Promise<void>((resolve) => (finished = resolve));
    const next = (): void => {
      while (!stopped && open < 100) {
        open += 1;
        const messageId = String((sent += 1));
        let answered = false;
        transport.publish(message({ routingKey: type }, { messageId }), ({ status }) => {
          if (answered) throw new Error(`message ${messageId} was answered twice`);
          answered = true;
          open -= 1;
          outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
          if (status === 'routed') routed.push(messageId);
          next();
          if (stopped && open === 0) finished();
        });
      }
    };
    next();
    return {
      outcomes,
      routed: () => routed,
      stop: () => {
        stopped = true;
        return open === 0 ? Promise.resolve() : ended;
      },
    };
  }

  const countOf = (of: { readonly outcomes: Map<string, number> }, status: PublishOutcome['status']): number =>
    of.outcomes.get(status) ?? 0;

  describe('the exchange', () => {
    it('is declared again, with the bindings, when somebody deletes it under load', async () => {
      const transport = await started();
      const { spec, type } = eventsQueue();
      await transport.subscribe(spec, 1, () => undefined);
      const under = load(transport, type);
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(100));

      await node.deleteExchange(harness.exchange);

      await eventually(() => expect(countOf(under, 'unavailable')).toBeGreaterThan(0));
      const before = countOf(under, 'routed');
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
      await under.stop();
      expect(countOf(under, 'refused')).toBe(0);
    });

    it('that exists with another type is named in the status, and used once it is mended', async () => {
      const exchange = harness.queueName('other.exchange');
      await harness.ask((channel) => channel.assertExchange(exchange, 'fanout', { durable: true }));
      const transport = harness.create({ exchange });
      transports.push(transport);
      await transport.start();

      await eventually(() => expect(transport.status().reason).toContain('exists with other properties'));
      expect(transport.status()).toMatchObject({ available: false, reason: expect.stringContaining(exchange) });
      expect(transport.status().reason).toContain('PRECONDITION_FAILED');
      expect(transport.status().reason).toContain('rabbitmq.exchange');

      await node.deleteExchange(exchange);
      await available(transport);
      await node.deleteExchange(exchange);
    });
  });

  describe('a channel that the server closes', () => {
    it('ends what was in flight refused, with the words of the server, and is opened again', async () => {
      const transport = await started();
      const { type } = await declared(transport);

      const tooLarge = await publish(transport, { routingKey: type }, { body: Buffer.alloc(MAX_MESSAGE_BYTES + 1) });

      expect(tooLarge).toEqual({
        status: 'refused',
        reason: expect.stringMatching(/^PRECONDITION_FAILED - message size/),
      });
      await available(transport);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('is opened again for sending, too', async () => {
      const transport = await started();
      const { spec } = await declared(transport);
      await eventually(() =>
        transport.send(message({ queue: spec.name }, { body: Buffer.alloc(MAX_MESSAGE_BYTES + 1) })),
      );
      await eventually(async () => {
        transport.send(message({ queue: spec.name }));
        expect(await harness.waiting(spec.name)).toBeGreaterThan(0);
      });
      expect(transport.status()).toEqual({ available: true });
    });

    it('because a delivery was held too long, delivers again', async () => {
      await node.ctl(
        'eval',
        'application:set_env(rabbit, channel_tick_interval, 300), application:set_env(rabbit, consumer_timeout, 500).',
      );
      try {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 1, deliveries.take);
        await publishMany(transport, type, 1);

        const [late, again] = await deliveries.next(2);
        late?.ack(); // on the closed channel: does nothing
        again?.ack();

        expect(again?.message).toMatchObject({ messageId: '0', redelivered: true });
        await eventually(() => expect(transport.status()).toEqual({ available: true }));
      } finally {
        await node.ctl(
          'eval',
          'application:set_env(rabbit, channel_tick_interval, 60000), application:set_env(rabbit, consumer_timeout, 1800000).',
        );
      }
    }, 60_000);
  });

  describe('a message', () => {
    it('that cannot be encoded is refused, and shifts no confirm of the others', async () => {
      const transport = await started();
      const { type } = await declared(transport);
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
      const transport = await started();
      const queue = harness.queueName('full');
      await harness.ask((channel) =>
        channel.assertQueue(queue, { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } }),
      );
      await publish(transport, { queue });

      expect(await publish(transport, { queue })).toEqual({
        status: 'refused',
        reason: 'the broker refused the message (basic.nack)',
      });
    });

    it('is not dropped by the queue however often it comes back', async () => {
      const transport = await started();
      const { spec, type } = await declared(transport);
      await publishMany(transport, type, 1);
      await harness.ask(async (channel) => {
        for (let time = 0; time < 50; time += 1) {
          const raw = await eventually(() => channel.get(spec.name));
          if (raw) channel.nack(raw, false, true);
        }
      });
      await eventually(async () => expect(await harness.waiting(spec.name)).toBe(1));
    });
  });

  describe('a connection that is lost under load', () => {
    it.each([
      ['reset', async () => harness.proxy.dropAll()],
      ['cut in the midst of a frame', async () => harness.proxy.cutAfterBytes('toServer', 20_000)],
      ['closed by the broker', () => node.closeAllConnections('by a person')],
    ])(
      '(%s) leaves every publish answered once, and every confirmed message in the queue',
      async (_, lose) => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        const under = load(transport, type);
        await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(200));

        await lose();

        await eventually(() => expect(countOf(under, 'unavailable')).toBeGreaterThan(0));
        await available(transport);
        const before = countOf(under, 'routed');
        await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
        await under.stop();
        await expectAllDelivered(spec, under.routed());
        if (lose.toString().includes('closeAll')) await harness.reopenAdmin();
      },
      60_000,
    );

    it('because the broker was killed comes back, and no confirmed message is lost', async () => {
      const transport = await started();
      const { spec, type } = await declared(transport);
      // RabbitMQ 3.10 never elects a leader again for a quorum queue whose node is killed within a second or so of its declaration.
      await node.stop();
      await node.start();
      await harness.reopenAdmin();
      const under = load(transport, type);
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(200));

      await node.kill();
      await unavailable(transport);
      await node.start();
      await available(transport);
      await harness.reopenAdmin();

      const before = countOf(under, 'routed');
      await eventually(() => expect(countOf(under, 'routed')).toBeGreaterThan(before + 100));
      await under.stop();
      await expectAllDelivered(spec, under.routed());
    }, 120_000);

    /** Duplicates are allowed: a message may be in the queue although its confirm was lost. */
    async function expectAllDelivered(spec: QueueSpec, ids: readonly string[]): Promise<void> {
      const seen = new Set<string>();
      const reader = await started();
      await reader.subscribe(spec, 500, (delivery) => {
        seen.add(String(delivery.message.messageId));
        delivery.ack();
      });
      await eventually(() => expect(ids.filter((id) => !seen.has(id))).toEqual([]));
    }
  });

  it('keeps nothing in memory while the broker is away', async () => {
    const transport = await started();
    await harness.goOffline();
    await unavailable(transport);
    const body = Buffer.alloc(1_000);
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 100; round += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: 1_000 }, () => publish(transport, { routingKey: 'x' }, { body: Buffer.from(body) })),
      );
      expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['unavailable']));
    }
    // 100 MB were handed over.
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * 1024 * 1024);
  });

  describe('a half-open connection', () => {
    it('is found by the confirm timeout, and made again', async () => {
      const transport = await started({ confirmTimeoutMs: 500, heartbeatSeconds: 60 });
      const { type } = await declared(transport);

      harness.proxy.blackhole(true);
      const began = performance.now();
      const outcome = await publish(transport, { routingKey: type });

      expect(outcome).toEqual({
        status: 'unavailable',
        reason: expect.stringMatching(/^no confirm from amqp:\/\/guest:\*\*\*@127\.0\.0\.1:\d+ within 500 ms$/),
      });
      expect(performance.now() - began).toBeLessThan(1_500);
      await unavailable(transport);

      harness.proxy.blackhole(false);
      // An attempt that was made into the black hole must run into its time limit first.
      harness.proxy.dropAll();
      await available(transport);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('is found by the heartbeats when nothing is published', async () => {
      const transport = await started({ heartbeatSeconds: 1 });
      harness.proxy.blackhole(true);
      await unavailable(transport);
    });

    it('does not hold up closing or subscribing', async () => {
      const transport = await started({ heartbeatSeconds: 60 });
      const { spec } = eventsQueue();
      const subscription = await transport.subscribe(spec, 1, (delivery) => delivery.ack());
      harness.proxy.blackhole(true);
      const inFlight = publish(transport, { routingKey: 'x' });

      await within(CLOSES_WITHIN_MS, subscription.close());
      await within(
        CLOSES_WITHIN_MS,
        transport.subscribe(eventsQueue().spec, 1, (delivery) => delivery.ack()),
      );
      await within(CLOSES_WITHIN_MS, transport.close());

      expect((await inFlight).status).toBe('unavailable');
    });
  });

  describe('a broker that blocks publishers', () => {
    it('leaves what is in flight unavailable after the confirm timeout, and the connection as it is', async () => {
      const transport = createTransport(node.url, { exchange: harness.exchange, confirmTimeoutMs: 500 });
      transports.push(transport);
      await transport.start();
      await available(transport);
      const { type } = await declared(transport);
      const statuses: string[] = [];
      await node.setMemoryAlarm(true);
      try {
        transport.onStatus(({ reason }) => statuses.push(reason ?? 'fine'));
        expect(await publish(transport, { routingKey: type })).toEqual({
          status: 'unavailable',
          reason: 'blocked by the broker: low on memory',
        });
      } finally {
        await node.setMemoryAlarm(false);
      }
      await available(transport);
      expect(statuses).toEqual(['blocked by the broker: low on memory', 'fine']);
      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    }, 60_000);
  });

  describe('a queue with other properties', () => {
    it('is refused by subscribe with what to do', async () => {
      const transport = await started();
      const { spec } = eventsQueue();
      await harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));

      const clash = transport.subscribe(spec, 1, () => undefined);

      await expect(clash).rejects.toMatchObject({ code: 'INVALID_SETUP' });
      await expect(clash).rejects.toThrow(/PRECONDITION_FAILED - inequivalent arg .* delete it/);
      expect(transport.status()).toEqual({ available: true });
    });

    it('is refused at boot, before the connection is there', async () => {
      const { spec } = eventsQueue();
      await harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));
      const transport = harness.create();
      transports.push(transport);
      void transport.start();
      await expect(transport.subscribe(spec, 1, () => undefined)).rejects.toThrow(spec.name);
    });

    it('is named in the status when it is found later, and consumed once it is mended', async () => {
      const transport = await started();
      await harness.goOffline();
      await unavailable(transport);
      const { spec, type } = eventsQueue();
      await harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));
      const deliveries = collector();
      await transport.subscribe(spec, 1, deliveries.take);
      await harness.goOnline();

      await eventually(() =>
        expect(transport.status()).toMatchObject({ available: true, reason: expect.stringContaining(spec.name) }),
      );

      await harness.deleteQueue(spec.name);
      await eventually(() => expect(transport.status()).toEqual({ available: true }));
      await publish(transport, { routingKey: type });
      await deliveries.next(1);
    });

    it('does not keep a refresh from declaring the others', async () => {
      const transport = await started();
      const [first, second] = [eventsQueue(), eventsQueue()];
      for (const { spec } of [first, second]) await transport.subscribe(spec, 1, () => undefined);
      await harness.deleteQueue(first.spec.name);
      await harness.ask((channel) => channel.assertQueue(first.spec.name, { durable: true }));
      await harness.unbind(second.spec.name, second.type);

      await transport.refreshTopology();

      expect(await publish(transport, { routingKey: second.type })).toEqual({ status: 'routed' });
    });
  });

  describe('a broker that cannot be used', () => {
    it.each([
      ['a wrong password', (url: URL) => void (url.password = 'top-secret'), /ACCESS_REFUSED.*user "guest"/],
      [
        'an unknown user',
        (url: URL) => void ((url.username = 'nobody'), (url.password = 'top-secret')),
        /ACCESS_REFUSED.*user "nobody"/,
      ],
      ['a missing virtual host', (url: URL) => void (url.pathname = '/elsewhere'), /virtual host "elsewhere"/],
      ['a port where nothing listens', (url: URL) => void (url.port = '1'), /connect ECONNREFUSED/],
    ])('(%s) is a status that says why, without the password', async (_, spoil, reason) => {
      const url = new URL(node.url);
      spoil(url);
      const transport = createTransport(url.href, { exchange: harness.exchange });
      transports.push(transport);
      await transport.start();

      await eventually(() => expect(transport.status().reason).toMatch(reason));
      const outcome = await publish(transport, { routingKey: 'x' });
      expect(outcome).toMatchObject({ status: 'unavailable', reason: expect.stringMatching(reason) });
      expect(JSON.stringify([outcome, transport.status()])).not.toMatch(/top-secret|guest:guest/);
    });

    it('is passed over when another one of the cluster answers', async () => {
      const transport = createTransport(['amqp://guest:guest@127.0.0.1:1', harness.proxy.url(node.url)], {
        exchange: harness.exchange,
      });
      transports.push(transport);
      await transport.start();
      await available(transport);
    });

    it.each([
      ['refuses', async () => harness.goOffline()],
      ['never answers', async () => harness.proxy.blackhole(true)],
    ])('(it %s) does not hold up closing, at whatever moment', async (_, spoil) => {
      await spoil();
      const opening = createTransport(harness.proxy.url(node.url), { exchange: harness.exchange, reconnectMs: 60_000 });
      await opening.start();
      await within(1_000, opening.close());

      const waiting = createTransport(harness.proxy.url(node.url), { exchange: harness.exchange, reconnectMs: 60_000 });
      await waiting.start();
      await waiting.subscribe(eventsQueue().spec, 1, (delivery) => delivery.ack()); // waits for the first attempt
      await within(1_000, waiting.close());
    });

    it('is left without a socket when the transport closes in the midst of the handshake', async () => {
      const accepted: Socket[] = [];
      const silent = createServer((socket) => accepted.push(socket.on('error', () => undefined).resume()));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as AddressInfo;
      const transport = createTransport(`amqp://127.0.0.1:${port}`, { exchange: harness.exchange });
      await transport.start();
      await eventually(() => expect(accepted).toHaveLength(2));

      await transport.close();

      await eventually(() => expect(accepted.map(({ readyState }) => readyState)).not.toContain('open'), {
        deadlineMs: 2_000,
      });
      await new Promise((resolve) => silent.close(resolve));
    });
  });

  it('needs no more than one look at its connections to be recognised', async () => {
    await started();
    const names = await node.ctl('--quiet', 'list_connections', '--no-table-headers', 'client_properties');
    expect(names).toContain('contract (publish)');
    expect(names).toContain('contract (consume)');
  });

  it('finds its messages on disk: persistent, with a time', async () => {
    const transport = await started();
    const { spec, type } = await declared(transport);
    await publish(transport, { routingKey: type });
    const connection = await connect(node.url);
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
});

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await promise;
  expect(performance.now() - began).toBeLessThan(ms);
  return result;
}
