import type { TransportStatus } from '../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../support/eventually';
import type { TransportBench } from './transport-bench';
import { available, collector, message, publish, publishMany, roundTrip, unavailable } from './transport-requests';

/** What every transport promises while the broker is away or blocks, and of its end. */
export function describeOutages(bench: TransportBench): void {
  describe('when the broker is away', () => {
    it('is unavailable before it was started', async () => {
      const transport = bench.harness.create();
      bench.transports.push(transport);
      expect(transport.status()).toEqual({ available: false, reason: expect.any(String) });
      expect((await publish(transport, { routingKey: 'x' })).status).toBe('unavailable');
      expect(transport.send(message({ queue: 'x' }))).toBe(false);
    });

    it('answers unavailable at once, tells its listeners, and recovers by itself', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector();
      await transport.subscribe(spec, 10, deliveries.take);
      const seen: TransportStatus[] = [];
      const stopListening = transport.onStatus((status) => seen.push(status));

      await bench.harness.goOffline();
      await unavailable(transport);
      const outcome = await publish(transport, { routingKey: type });
      expect(outcome).toEqual({ status: 'unavailable', reason: expect.stringContaining('not connected to') });

      await bench.harness.goOnline();
      await available(transport);
      await eventually(async () =>
        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
      );
      await deliveries.next(1);

      expect(seen).toContainEqual({ available: false, reason: expect.stringContaining('not connected to') });
      expect(seen.at(-1)).toEqual({ available: true });
      seen.forEach((status, index) => expect(status).not.toEqual(seen[index - 1]));
      const before = seen.length;
      stopListening();
      await transport.close();
      expect(seen).toHaveLength(before);
    });

    it('delivers again what was unsettled when the connection was lost, flagged', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector({ settle: false });
      await transport.subscribe(spec, 10, deliveries.take);
      await publishMany(transport, type, 1);
      const [held] = await deliveries.next(1);

      await bench.harness.goOffline();
      await unavailable(transport);
      held?.ack(); // on a connection that is gone: does nothing
      await bench.harness.goOnline();

      const [, again] = await deliveries.next(2);
      expect(again?.message).toMatchObject({ messageId: '0', redelivered: true });
      again?.ack();
    });

    it('subscribes while the broker is away, and consumes when it is back', async () => {
      const transport = await bench.started();
      await bench.harness.goOffline();
      await unavailable(transport);
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector();
      await transport.subscribe(spec, 10, deliveries.take);

      await bench.harness.goOnline();
      await available(transport);
      await eventually(async () =>
        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
      );
      await deliveries.next(1);
    });

    it('keeps a subscription closed that was closed while the broker was away', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector();
      const subscription = await transport.subscribe(spec, 10, deliveries.take);
      await bench.harness.goOffline();
      await unavailable(transport);
      await subscription.close();
      await bench.harness.goOnline();
      await available(transport);
      await eventually(async () =>
        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
      );
      await roundTrip(transport);
      expect(deliveries.all).toHaveLength(0);
      expect(await bench.harness.waiting(spec.name)).toBe(1);
    });

    it('answers every publish once when the connection is lost under load', async () => {
      const transport = await bench.started();
      const { type } = await bench.declared(transport);
      const answers = new Array<number>(2_000).fill(0);
      const statuses = new Set<string>();
      for (let index = 0; index < answers.length; index += 1) {
        transport.publish(message({ routingKey: type }), ({ status }) => {
          answers[index] = (answers[index] ?? 0) + 1;
          statuses.add(status);
        });
      }
      await bench.harness.goOffline();
      await eventually(() => expect(answers).not.toContain(0));
      expect(new Set(answers)).toEqual(new Set([1]));
      expect([...statuses].filter((status) => status !== 'routed' && status !== 'unavailable')).toEqual([]);
    });
  });

  it('answers unavailable while the broker blocks publishers, and goes on consuming', async () => {
    const { transport, block, unblock } = await bench.harness.createBlockable();
    await bench.started(transport);
    const { spec, type } = bench.eventsQueue();
    const deliveries = collector({ settle: false });
    await transport.subscribe(spec, 1, deliveries.take);
    await publishMany(transport, type, 2);
    await deliveries.next(1);

    await block();
    // RabbitMQ tells a connection that it is blocked when it publishes next, not before.
    const outcome = await eventually(async () => {
      const answer = await publish(transport, { routingKey: type });
      return answer.status === 'unavailable' && answer;
    });
    expect(outcome.reason).toMatch(/^blocked by the broker: low on memory/);
    expect(transport.status()).toEqual({
      available: false,
      reason: expect.stringContaining('blocked by the broker'),
    });
    expect(transport.send(message({ routingKey: type }))).toBe(false);
    deliveries.all[0]?.ack();
    await deliveries.next(2);

    await unblock();
    await available(transport);
    await eventually(async () => expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }));
  }, 60_000);

  describe('closing', () => {
    it('answers what is in flight, and everything later, unavailable', async () => {
      const transport = await bench.started();
      const { type } = await bench.declared(transport);
      const inFlight = Array.from({ length: 100 }, () => publish(transport, { routingKey: type }));

      await transport.close();

      for (const { status } of await Promise.all(inFlight)) expect(['routed', 'unavailable']).toContain(status);
      expect((await publish(transport, { routingKey: type })).status).toBe('unavailable');
      expect(transport.send(message({ routingKey: type }))).toBe(false);
      expect(transport.status()).toEqual({ available: false, reason: 'closed' });
    });

    it('may be asked for twice, at once and later, and before the start', async () => {
      const transport = await bench.started();
      await Promise.all([transport.close(), transport.close()]);
      await transport.close();

      const unused = bench.harness.create();
      await unused.close();
      await unused.start();
      expect(unused.status().available).toBe(false);
    });
  });
}
