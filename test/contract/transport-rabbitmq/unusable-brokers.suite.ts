import { createServer, type AddressInfo, type Socket } from 'node:net';
import { eventually } from '../../support/eventually';
import { createTransport } from '../transport-rabbitmq-harness';
import { available, collector, publish, unavailable } from '../transport-requests';
import { CLOSES_WITHIN_MS, type PrivateBroker, within } from './private-broker';

/** Queues that are there with other properties, and brokers that do not let anybody in. */
export function unusableBrokersSuite(broker: () => PrivateBroker): void {
  describe('a queue with other properties', () => {
    it('is refused by subscribe with what to do', async () => {
      const transport = await broker().started();
      const { spec } = broker().eventsQueue();
      await broker().harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));

      const clash = transport.subscribe(spec, 1, () => undefined);

      await expect(clash).rejects.toMatchObject({ code: 'INVALID_SETUP' });
      await expect(clash).rejects.toThrow(/PRECONDITION_FAILED - inequivalent arg .* delete it/);
      expect(transport.status()).toEqual({ available: true });
    });

    it('is refused at boot, before the connection is there', async () => {
      const { spec } = broker().eventsQueue();
      await broker().harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));
      const transport = broker().harness.create();
      broker().closing(transport);
      void transport.start();
      await expect(transport.subscribe(spec, 1, () => undefined)).rejects.toThrow(spec.name);
    });

    it('is named in the status when it is found later, and consumed once it is mended', async () => {
      const transport = await broker().started();
      await broker().harness.goOffline();
      await unavailable(transport);
      const { spec, type } = broker().eventsQueue();
      await broker().harness.ask((channel) => channel.assertQueue(spec.name, { durable: true }));
      const deliveries = collector();
      await transport.subscribe(spec, 1, deliveries.take);
      await broker().harness.goOnline();

      await eventually(() =>
        expect(transport.status()).toMatchObject({ available: true, reason: expect.stringContaining(spec.name) }),
      );

      await broker().harness.deleteQueue(spec.name);
      await eventually(() => expect(transport.status()).toEqual({ available: true }));
      await publish(transport, { routingKey: type });
      await deliveries.next(1);
    });

    it('does not keep a refresh from declaring the others', async () => {
      const transport = await broker().started();
      const [first, second] = [broker().eventsQueue(), broker().eventsQueue()];
      for (const { spec } of [first, second]) await transport.subscribe(spec, 1, () => undefined);
      await broker().harness.deleteQueue(first.spec.name);
      await broker().harness.ask((channel) => channel.assertQueue(first.spec.name, { durable: true }));
      await broker().harness.unbind(second.spec.name, second.type);

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
      const url = new URL(broker().node.url);
      spoil(url);
      const transport = createTransport(url.href, { exchange: broker().harness.exchange });
      broker().closing(transport);
      await transport.start();

      await eventually(() => expect(transport.status().reason).toMatch(reason));
      const outcome = await publish(transport, { routingKey: 'x' });
      expect(outcome).toMatchObject({ status: 'unavailable', reason: expect.stringMatching(reason) });
      expect(JSON.stringify([outcome, transport.status()])).not.toMatch(/top-secret|guest:guest/);
    });

    it('is passed over when another one of the cluster answers', async () => {
      const transport = createTransport(
        ['amqp://guest:guest@127.0.0.1:1', broker().harness.proxy.url(broker().node.url)],
        {
          exchange: broker().harness.exchange,
        },
      );
      broker().closing(transport);
      await transport.start();
      await available(transport);
    });

    it.each([
      ['refuses', async () => broker().harness.goOffline()],
      ['never answers', async () => broker().harness.proxy.blackhole(true)],
    ])('(it %s) does not hold up closing, at whatever moment', async (_, spoil) => {
      await spoil();
      const opening = createTransport(broker().harness.proxy.url(broker().node.url), {
        exchange: broker().harness.exchange,
        reconnectMs: 60_000,
      });
      await opening.start();
      await within(CLOSES_WITHIN_MS, opening.close());

      const waiting = createTransport(broker().harness.proxy.url(broker().node.url), {
        exchange: broker().harness.exchange,
        reconnectMs: 60_000,
      });
      await waiting.start();
      await waiting.subscribe(broker().eventsQueue().spec, 1, (delivery) => delivery.ack()); // waits for the first attempt
      await within(CLOSES_WITHIN_MS, waiting.close());
    });

    it('is left without a socket when the transport closes in the midst of the handshake', async () => {
      const accepted: Socket[] = [];
      const silent = createServer((socket) => accepted.push(socket.on('error', () => undefined).resume()));
      await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
      const { port } = silent.address() as AddressInfo;
      const transport = createTransport(`amqp://127.0.0.1:${port}`, { exchange: broker().harness.exchange });
      await transport.start();
      await eventually(() => expect(accepted).toHaveLength(2));

      await transport.close();

      await eventually(() => expect(accepted.map(({ readyState }) => readyState)).not.toContain('open'), {
        deadlineMs: 2_000,
      });
      await new Promise((resolve) => silent.close(resolve));
    });
  });
}
