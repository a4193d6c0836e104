import type { Delivery, TransportStatus } from '../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../support/eventually';
import type { TransportBench } from './transport-bench';
import { collector, publishMany, roundTrip, unavailable } from './transport-requests';

/** What every transport promises of what is delivered. */
export function describeConsuming(bench: TransportBench): void {
  describe('consuming', () => {
    it('delivers no more than the prefetch before something is settled', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 10);
      const deliveries = collector({ settle: false });
      await transport.subscribe(spec, 3, deliveries.take);

      await deliveries.next(3);
      await roundTrip(transport);
      expect(deliveries.all).toHaveLength(3);

      deliveries.all[0]?.ack();
      await deliveries.next(4);
      await roundTrip(transport);
      expect(deliveries.all).toHaveLength(4);
    });

    it('takes the second acknowledgement of a delivery for nothing', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector({ settle: false });
      await transport.subscribe(spec, 5, deliveries.take);
      await publishMany(transport, type, 2);
      const changes: TransportStatus[] = [];
      transport.onStatus((status) => changes.push(status));

      const [first, second] = await deliveries.next(2);
      first?.ack();
      first?.ack();
      second?.ack();

      await roundTrip(transport);
      expect(changes).toEqual([]); // RabbitMQ would close the channel
      expect(deliveries.all).toHaveLength(2);
      expect(await bench.harness.waiting(spec.name)).toBe(0);
    });

    it('gives unsettled deliveries back when it closes', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const lost = collector({ settle: false });
      await transport.subscribe(spec, 5, lost.take);
      await publishMany(transport, type, 3);
      const [first] = await lost.next(3);
      first?.ack();

      await transport.close();
      lost.all[1]?.ack(); // too late, and harmless

      const other = await bench.started();
      const deliveries = collector();
      await other.subscribe(spec, 5, deliveries.take);
      const back = await deliveries.next(2);
      expect(back.map(({ message: { messageId, redelivered } }) => [messageId, redelivered])).toEqual([
        ['1', true],
        ['2', true],
      ]);
    });

    it('shares a queue between consumers', async () => {
      const [one, two] = [await bench.started(), await bench.started()];
      const { spec, type } = bench.eventsQueue();
      const [ofOne, ofTwo] = [collector({ settle: false }), collector({ settle: false })];
      await one.subscribe(spec, 2, ofOne.take);
      await two.subscribe(spec, 2, ofTwo.take);

      await publishMany(one, type, 4);

      await Promise.all([ofOne.next(2), ofTwo.next(2)]);
      const ids = [...ofOne.all, ...ofTwo.all].map(({ message: { messageId } }) => messageId);
      expect(ids.sort()).toEqual(['0', '1', '2', '3']);
    });

    it('loses nothing to closing and subscribing again under load', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      const seen = new Set<string>();
      const published = publishMany(transport, type, 2_000);
      for (let round = 0; round < 10; round += 1) {
        const subscription = await transport.subscribe(spec, 20, (delivery) => {
          seen.add(String(delivery.message.messageId));
          delivery.ack();
        });
        if (round < 9) await subscription.close();
      }
      await published;
      await eventually(() => expect(seen.size).toBe(2_000));
      await eventually(async () => expect(await bench.harness.waiting(spec.name)).toBe(0));
    });

    it('gives back what arrived while it was being closed, as soon as nothing that was handed on is left', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 500);
      const held: Delivery[] = [];
      const subscription = await transport.subscribe(spec, 500, (delivery) => held.push(delivery));
      await subscription.close();
      held.forEach((delivery) => delivery.ack());

      // An acknowledgement may not outlive the end of its channel: what was acknowledged may come again, too.
      const seen = new Set(held.map(({ message: { messageId } }) => messageId));
      await transport.subscribe(spec, 100, (delivery) => {
        seen.add(delivery.message.messageId);
        delivery.ack();
      });
      await eventually(() => expect(seen.size).toBe(500));
    });

    it('tells whether it consumes', async () => {
      const transport = await bench.started();
      const { spec } = bench.eventsQueue();
      const subscription = await transport.subscribe(spec, 1, () => undefined);
      await eventually(() => expect(subscription.status()).toEqual({ consuming: true }));

      await bench.harness.goOffline();
      await unavailable(transport);
      await eventually(() =>
        expect(subscription.status()).toEqual({ consuming: false, reason: expect.stringMatching(/./) }),
      );

      await bench.harness.goOnline();
      await eventually(() => expect(subscription.status()).toEqual({ consuming: true }));
      await subscription.close();
      expect(subscription.status()).toEqual({
        consuming: false,
        reason: `queue "${spec.name}" is no longer consumed`,
      });
    });

    it('takes from an existing queue as it is, and never declares one', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      const missing = bench.harness.queueName('missing');
      const deliveries = collector();

      const [there, notThere] = await Promise.all(
        [spec.name, missing].map((name) =>
          transport.subscribe({ name, kind: 'existing', bindings: [] }, 5, deliveries.take),
        ),
      );
      await publishMany(transport, type, 1);
      await transport.refreshTopology();

      await deliveries.next(1);
      expect(there?.status()).toEqual({ consuming: true });
      expect(notThere?.status()).toEqual({ consuming: false, reason: `queue "${missing}" does not exist` });
      expect(transport.status()).toEqual({ available: true });
      expect(await transport.queueState(missing)).toBe('no-queue');
    });

    it('reads a queue message by message; what was not acknowledged goes back when the reader closes', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 3);

      const reader = transport.read(spec.name);
      const [first, second, third] = [await reader.next(), await reader.next(), await reader.next()];
      expect([first, second, third].map((delivery) => delivery?.message.messageId)).toEqual(['0', '1', '2']);
      expect(first?.message).toMatchObject({ queue: spec.name, redelivered: false });
      await expect(reader.next()).resolves.toBeUndefined();
      expect(reader.problem).toBeUndefined();
      second?.ack();
      await reader.close();
      await reader.close();
      await expect(reader.next()).resolves.toBeUndefined();

      const deliveries = collector();
      await transport.subscribe(spec, 5, deliveries.take);
      const back = await deliveries.next(2);
      expect(back.map(({ message: { messageId, redelivered } }) => [messageId, redelivered])).toEqual([
        ['0', true],
        ['2', true],
      ]);
    });

    it('reads nothing from a queue that is not there, and says why when the broker is not', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 1);
      const missing = transport.read(bench.harness.queueName('missing'));
      await expect(missing.next()).resolves.toBeUndefined();
      expect(missing.problem).toBeUndefined();
      await missing.close();

      const cut = transport.read(spec.name);
      const held = await cut.next();
      await bench.harness.goOffline();
      await unavailable(transport);
      await expect(cut.next()).resolves.toBeUndefined();
      expect(cut.problem).toMatch(/./);
      held?.ack();
      await cut.close();
      await bench.harness.goOnline();

      const deliveries = collector();
      await transport.subscribe(spec, 5, deliveries.take);
      await deliveries.next(1);
    });

    it('leaves messages in the queue after the subscription was closed, and still settles', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector({ settle: false });
      const subscription = await transport.subscribe(spec, 10, deliveries.take);
      await publishMany(transport, type, 1);
      const [held] = await deliveries.next(1);

      await subscription.close();
      await subscription.close();
      await publishMany(transport, type, 1);
      held?.ack();
      await transport.close();

      await eventually(async () => expect(await bench.harness.waiting(spec.name)).toBe(1));
      expect(deliveries.all).toHaveLength(1);
    });

    it('survives a callback that throws', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector();
      await transport.subscribe(spec, 10, (delivery) => {
        if (delivery.message.messageId === '0') throw new Error('a bug in the caller');
        deliveries.take(delivery);
      });
      await publishMany(transport, type, 2);
      const [delivery] = await deliveries.next(1);
      expect(delivery?.message.messageId).toBe('1');
    });

    it('hands on foreign messages with junk instead of properties', async () => {
      const transport = await bench.started();
      const { spec } = bench.eventsQueue();
      const deliveries = collector();
      await transport.subscribe(spec, 10, deliveries.take);

      await bench.harness.publishForeign(spec.name, Buffer.from([0xff, 0xfe, 0x00]), {
        headers: { nested: { deep: [1, null, { x: true }] } },
      });
      await bench.harness.publishForeign(spec.name, Buffer.alloc(0), {});

      const [junk, bare] = await deliveries.next(2);
      expect([...(junk?.message.body ?? [])]).toEqual([0xff, 0xfe, 0x00]);
      expect(junk?.message).toMatchObject({
        messageId: undefined,
        type: undefined,
        headers: { nested: { deep: [1, null, { x: true }] } },
      });
      expect(bare?.message).toMatchObject({ contentType: undefined, replyTo: undefined, headers: {} });
      expect(bare?.message.body).toHaveLength(0);
    });
  });
}
