import { InvalidSetupError } from '../../libs/reliable-mq/src/event/errors';
import type { QueueSpec, Transport, TransportStatus } from '../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../support/eventually';
import { available, collector, message, publish, publishMany, roundTrip, unavailable } from './transport-requests';

/** What a broker must let the suite do to it. */
export interface TransportHarness {
  /** A transport of its own over a link that `goOffline` cuts; not started. */
  create(): Transport;
  goOffline(): Promise<void>;
  goOnline(): Promise<void>;
  /** A transport to a broker that can be told to block what publishes; not started. */
  createBlockable(): Promise<{ readonly transport: Transport; block(): Promise<void>; unblock(): Promise<void> }>;
  deleteQueue(queue: string): Promise<void>;
  purge(queue: string): Promise<void>;
  unbind(queue: string, routingKey: string): Promise<void>;
  /** How many messages wait in the queue. */
  waiting(queue: string): Promise<number>;
  /** Sends to the queue what no program of this library would send. */
  publishForeign(queue: string, body: Buffer, properties: Record<string, unknown>): Promise<void>;
  /** A name that no other file uses; the harness removes it from the broker at the end. */
  queueName(name: string): string;
  dispose(): Promise<void>;
}

/** What every transport promises; see the comments of the seam (transport.ts). */
export function describeTransport(implementation: string, createHarness: () => Promise<TransportHarness>): void {
  describe(`${implementation} transport`, () => {
    let harness: TransportHarness;
    const transports: Transport[] = [];
    let count = 0;

    beforeAll(async () => {
      harness = await createHarness();
    }, 120_000);

    afterEach(async () => {
      await harness.goOnline();
      await Promise.all(transports.splice(0).map((transport) => transport.close()));
    });

    afterAll(async () => {
      await harness.dispose();
    }, 60_000);

    async function started(transport = harness.create()): Promise<Transport> {
      transports.push(transport);
      await transport.start();
      await available(transport);
      return transport;
    }

    /** A queue, and an event type for its binding, that no other test uses. */
    function eventsQueue(): { spec: QueueSpec; type: string } {
      count += 1;
      const name = harness.queueName(`q${count}`);
      return {
        type: name,
        spec: { name, kind: 'events', bindings: [name], parkingQueue: harness.queueName(`q${count}.parking`) },
      };
    }

    /** The queue declared and its (paused) consumer gone: messages stay. */
    async function declared(transport: Transport): Promise<{ spec: QueueSpec; type: string }> {
      const made = eventsQueue();
      const subscription = await transport.subscribe(made.spec, 1, (delivery) => delivery.requeue());
      await subscription.pause();
      return made;
    }

    describe('publishing', () => {
      it('ends routed when a queue is bound', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);

        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
        expect(await harness.waiting(spec.name)).toBe(1);
      });

      it('ends unroutable, with the reason, when no queue is bound', async () => {
        const transport = await started();
        const type = harness.queueName('nobody.listens');

        const outcome = await publish(transport, { routingKey: type });

        expect(outcome).toMatchObject({
          status: 'unroutable',
          reason: expect.stringContaining(`no queue is bound for "${type}"`),
        });
      });

      it('goes straight to one queue, past the bindings', async () => {
        const transport = await started();
        const first = await declared(transport);
        const second = await declared(transport);

        expect(await publish(transport, { queue: second.spec.name })).toEqual({ status: 'routed' });

        expect([await harness.waiting(first.spec.name), await harness.waiting(second.spec.name)]).toEqual([0, 1]);
      });

      it('ends unroutable when the one queue does not exist', async () => {
        const transport = await started();
        const queue = harness.queueName('missing');

        expect(await publish(transport, { queue })).toEqual({
          status: 'unroutable',
          reason: `queue "${queue}" does not exist`,
        });
      });

      it('gives a copy to each bound queue', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        const second: QueueSpec = { ...spec, name: harness.queueName('second') };
        await (await transport.subscribe(second, 1, (delivery) => delivery.requeue())).pause();

        await publish(transport, { routingKey: type });

        expect([await harness.waiting(spec.name), await harness.waiting(second.name)]).toEqual([1, 1]);
      });

      it('tells apart two messages of one id that are in flight to different targets', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        const missing = harness.queueName('missing');

        const outcomes = await Promise.all(
          [{ queue: missing }, { routingKey: type }, { routingKey: missing }, { queue: spec.name }].map((target) =>
            publish(transport, target, { messageId: 'one-id' }),
          ),
        );

        expect(outcomes.map(({ status }) => status)).toEqual(['unroutable', 'routed', 'unroutable', 'routed']);
      });

      it('never answers before it returns, available or not', async () => {
        const transport = await started();
        const target = { queue: harness.queueName('missing') };
        for (const state of ['available', 'closed']) {
          if (state === 'closed') await transport.close();
          let returned = false;
          const answeredAfterwards = await new Promise<boolean>((resolve) => {
            transport.publish(message(target), () => resolve(returned));
            returned = true;
          });
          expect([state, answeredAfterwards]).toEqual([state, true]);
        }
      });

      it('confirms 5,000 pipelined messages once each, and delivers them in order', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        const answers = new Array<number>(5_000).fill(0);
        const outcomes = new Map<string, number>();

        await new Promise<void>((resolve) => {
          let open = answers.length;
          for (let index = 0; index < answers.length; index += 1) {
            transport.publish(message({ routingKey: type }, { messageId: String(index) }), ({ status }) => {
              answers[index] = (answers[index] ?? 0) + 1;
              outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
              if ((open -= 1) === 0) resolve();
            });
          }
        });
        expect(Object.fromEntries(outcomes)).toEqual({ routed: 5_000 });

        const received: string[] = [];
        await transport.subscribe(spec, 500, (delivery) => {
          received.push(String(delivery.message.messageId));
          delivery.ack();
        });
        await eventually(() => expect(received).toHaveLength(5_000));
        expect(received).toEqual(answers.map((_, index) => String(index)));
        expect(new Set(answers)).toEqual(new Set([1]));
      });

      it('carries the properties, the headers and the bytes', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);

        await publish(
          transport,
          { routingKey: type },
          {
            messageId: 'id-1',
            type: 'order.created',
            body: Buffer.from('{"名":"值"}'),
            headers: { version: 2, test: true, name: 'x' },
            replyTo: 'order.receipts',
            appId: 'order',
          },
        );

        const [delivery] = await deliveries.next(1);
        expect(delivery?.message).toEqual({
          queue: spec.name,
          body: expect.anything(),
          messageId: 'id-1',
          type: 'order.created',
          contentType: 'application/json',
          contentEncoding: undefined,
          replyTo: 'order.receipts',
          appId: 'order',
          headers: { version: 2, test: true, name: 'x' },
          routingKey: type,
          redelivered: false,
        });
        expect(delivery?.message.body.toString()).toBe('{"名":"值"}');
      });
    });

    describe('sending', () => {
      it('hands the message over without a confirm', async () => {
        const transport = await started();
        const name = harness.queueName('receipts');
        const deliveries = collector();
        await transport.subscribe({ name, kind: 'receipts', bindings: [] }, 10, deliveries.take);

        // The channel for it is opened beside the one for publishing.
        await eventually(() => transport.send(message({ queue: name }, { messageId: 'receipt' })));

        const [delivery] = await deliveries.next(1);
        expect(delivery?.message.messageId).toBe('receipt');
      });

      it('drops what goes nowhere, and says nothing', async () => {
        const transport = await started();
        await eventually(() => transport.send(message({ queue: harness.queueName('missing') })));
        expect(transport.status()).toEqual({ available: true });
      });

      it('refuses while the broker is away', async () => {
        const transport = await started();
        await harness.goOffline();
        await unavailable(transport);
        expect(transport.send(message({ queue: harness.queueName('missing') }))).toBe(false);
      });
    });

    describe('consuming', () => {
      it('delivers no more than the prefetch before something is settled', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
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

      it('delivers again what was requeued, flagged, and not what was acknowledged', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 1, deliveries.take);
        await publishMany(transport, type, 2);

        const [first] = await deliveries.next(1);
        first?.requeue();
        const [, again] = await deliveries.next(2);
        again?.ack();
        const [, , second] = await deliveries.next(3);
        second?.ack();

        expect(deliveries.all.map(({ message: { messageId, redelivered } }) => [messageId, redelivered])).toEqual([
          ['0', false],
          ['0', true],
          ['1', false],
        ]);
        await roundTrip(transport);
        expect(await harness.waiting(spec.name)).toBe(0);
      });

      it('takes the second settling of a delivery for nothing', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 5, deliveries.take);
        await publishMany(transport, type, 2);
        const changes: TransportStatus[] = [];
        transport.onStatus((status) => changes.push(status));

        const [first, second] = await deliveries.next(2);
        first?.ack();
        first?.ack();
        first?.requeue();
        second?.requeue();

        const all = await deliveries.next(3);
        expect(all.map(({ message: { messageId } }) => messageId)).toEqual(['0', '1', '1']);
        await roundTrip(transport);
        expect(changes).toEqual([]); // RabbitMQ would close the channel
      });

      it('gives unsettled deliveries back when it closes', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const lost = collector({ settle: false });
        await transport.subscribe(spec, 5, lost.take);
        await publishMany(transport, type, 3);
        const [first] = await lost.next(3);
        first?.ack();

        await transport.close();
        lost.all[1]?.ack(); // too late, and harmless

        const other = await started();
        const deliveries = collector();
        await other.subscribe(spec, 5, deliveries.take);
        const back = await deliveries.next(2);
        expect(back.map(({ message: { messageId, redelivered } }) => [messageId, redelivered])).toEqual([
          ['1', true],
          ['2', true],
        ]);
      });

      it('shares a queue between consumers', async () => {
        const [one, two] = [await started(), await started()];
        const { spec, type } = eventsQueue();
        const [ofOne, ofTwo] = [collector({ settle: false }), collector({ settle: false })];
        await one.subscribe(spec, 2, ofOne.take);
        await two.subscribe(spec, 2, ofTwo.take);

        await publishMany(one, type, 4);

        await Promise.all([ofOne.next(2), ofTwo.next(2)]);
        const ids = [...ofOne.all, ...ofTwo.all].map(({ message: { messageId } }) => messageId);
        expect(ids.sort()).toEqual(['0', '1', '2', '3']);
      });

      it('takes nothing while paused, settles what it holds, and goes on after resume', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        const subscription = await transport.subscribe(spec, 10, deliveries.take);
        await publishMany(transport, type, 1);
        const [held] = await deliveries.next(1);

        await subscription.pause();
        await subscription.pause();
        await publishMany(transport, type, 2);
        await roundTrip(transport);
        expect(deliveries.all).toHaveLength(1);
        held?.ack();

        await subscription.resume();
        await subscription.resume();
        await deliveries.next(3);
        expect(deliveries.all.map(({ message: { redelivered } }) => redelivered)).toEqual([false, false, false]);
      });

      it('loses nothing to pausing and resuming under load', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const seen = new Set<string>();
        const subscription = await transport.subscribe(spec, 20, (delivery) => {
          seen.add(String(delivery.message.messageId));
          delivery.ack();
        });
        const published = publishMany(transport, type, 2_000);
        for (let round = 0; round < 10; round += 1) {
          await subscription.pause();
          await subscription.resume();
        }
        await published;
        await eventually(() => expect(seen.size).toBe(2_000));
        await eventually(async () => expect(await harness.waiting(spec.name)).toBe(0));
      });

      it('leaves messages in the queue after the subscription was closed, and still settles', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        const subscription = await transport.subscribe(spec, 10, deliveries.take);
        await publishMany(transport, type, 1);
        const [held] = await deliveries.next(1);

        await subscription.close();
        await subscription.close();
        await subscription.resume();
        await publishMany(transport, type, 1);
        held?.ack();
        await transport.close();

        await eventually(async () => expect(await harness.waiting(spec.name)).toBe(1));
        expect(deliveries.all).toHaveLength(1);
      });

      it('survives a callback that throws', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
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
        const transport = await started();
        const { spec } = eventsQueue();
        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);

        await harness.publishForeign(spec.name, Buffer.from([0xff, 0xfe, 0x00]), {
          headers: { nested: { deep: [1, null, { x: true }] } },
        });
        await harness.publishForeign(spec.name, Buffer.alloc(0), {});

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

    describe('topology', () => {
      it('declares a deleted queue again and consumes on', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);
        await publish(transport, { routingKey: type });
        await deliveries.next(1);

        await harness.deleteQueue(spec.name);

        await eventually(async () =>
          expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
        );
        await deliveries.next(2);
      });

      it('goes on after a purge', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        await publishMany(transport, type, 3);
        await harness.purge(spec.name);
        expect(await harness.waiting(spec.name)).toBe(0);

        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);
        await publish(transport, { routingKey: type }, { messageId: 'after' });
        const [delivery] = await deliveries.next(1);
        expect(delivery?.message.messageId).toBe('after');
      });

      it('tells how many messages wait in a queue, without those that consumers hold', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        await publishMany(transport, type, 3);
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBe(3));
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 2, deliveries.take);
        await deliveries.next(2);
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBe(1));
      });

      it('tells of each queue that does not exist, and of the next one at once', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        await publishMany(transport, type, 1);
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBe(1));
        for (let round = 0; round < 5; round += 1) {
          expect(await transport.messagesWaiting(`${spec.name}.none`)).toBe('no-queue');
          expect(await transport.messagesWaiting(spec.name)).toBe(1);
        }
        const names = [`${spec.name}.none`, spec.name, `${spec.name}.neither`, spec.name];
        const answers = await Promise.all(names.map((name) => transport.messagesWaiting(name)));
        expect(answers).toEqual(['no-queue', 1, 'no-queue', 1]);
      });

      it('cannot tell how full a queue is while the broker is away, nor when it is closed', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        await publishMany(transport, type, 1);
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBe(1));
        await harness.goOffline();
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBeUndefined());
        await harness.goOnline();
        await eventually(async () => expect(await transport.messagesWaiting(spec.name)).toBe(1));
        await transport.close();
        expect(await transport.messagesWaiting(spec.name)).toBeUndefined();
      });

      it('puts a removed binding back when it is refreshed', async () => {
        const transport = await started();
        const { spec, type } = await declared(transport);
        await harness.unbind(spec.name, type);
        expect((await publish(transport, { routingKey: type })).status).toBe('unroutable');

        await Promise.all([transport.refreshTopology(), transport.refreshTopology()]);

        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
      });

      it('does not mind refreshing without a broker', async () => {
        const transport = harness.create();
        await transport.refreshTopology();
        await transport.close();
        await transport.refreshTopology();
      });

      it('refuses a queue that exists with other properties, and goes on with the others', async () => {
        const transport = await started();
        const { spec } = await declared(transport);

        const clash = transport.subscribe({ name: spec.name, kind: 'receipts', bindings: [] }, 1, () => undefined);

        await expect(clash).rejects.toThrow(InvalidSetupError);
        await expect(clash).rejects.toThrow(spec.name);
        expect(transport.status()).toEqual({ available: true });
        expect(await publish(transport, { queue: spec.name })).toEqual({ status: 'routed' });
      });
    });

    describe('when the broker is away', () => {
      it('is unavailable before it was started', async () => {
        const transport = harness.create();
        transports.push(transport);
        expect(transport.status()).toEqual({ available: false, reason: expect.any(String) });
        expect((await publish(transport, { routingKey: 'x' })).status).toBe('unavailable');
        expect(transport.send(message({ queue: 'x' }))).toBe(false);
      });

      it('answers unavailable at once, tells its listeners, and recovers by itself', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);
        const seen: TransportStatus[] = [];
        const stopListening = transport.onStatus((status) => seen.push(status));

        await harness.goOffline();
        await unavailable(transport);
        const outcome = await publish(transport, { routingKey: type });
        expect(outcome).toEqual({ status: 'unavailable', reason: expect.stringContaining('not connected to') });

        await harness.goOnline();
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
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector({ settle: false });
        await transport.subscribe(spec, 10, deliveries.take);
        await publishMany(transport, type, 1);
        const [held] = await deliveries.next(1);

        await harness.goOffline();
        await unavailable(transport);
        held?.ack(); // on a connection that is gone: does nothing
        await harness.goOnline();

        const [, again] = await deliveries.next(2);
        expect(again?.message).toMatchObject({ messageId: '0', redelivered: true });
        again?.ack();
      });

      it('subscribes while the broker is away, and consumes when it is back', async () => {
        const transport = await started();
        await harness.goOffline();
        await unavailable(transport);
        const { spec, type } = eventsQueue();
        const deliveries = collector();
        await transport.subscribe(spec, 10, deliveries.take);

        await harness.goOnline();
        await available(transport);
        await eventually(async () =>
          expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
        );
        await deliveries.next(1);
      });

      it('keeps a subscription paused that was paused while the broker was away', async () => {
        const transport = await started();
        const { spec, type } = eventsQueue();
        const deliveries = collector();
        const subscription = await transport.subscribe(spec, 10, deliveries.take);
        await harness.goOffline();
        await unavailable(transport);
        await subscription.pause();
        await harness.goOnline();
        await available(transport);
        await eventually(async () =>
          expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
        );
        expect(deliveries.all).toHaveLength(0);

        await subscription.resume();
        await deliveries.next(1);
      });

      it('answers every publish once when the connection is lost under load', async () => {
        const transport = await started();
        const { type } = await declared(transport);
        const answers = new Array<number>(2_000).fill(0);
        const statuses = new Set<string>();
        for (let index = 0; index < answers.length; index += 1) {
          transport.publish(message({ routingKey: type }), ({ status }) => {
            answers[index] = (answers[index] ?? 0) + 1;
            statuses.add(status);
          });
        }
        await harness.goOffline();
        await eventually(() => expect(answers).not.toContain(0));
        expect(new Set(answers)).toEqual(new Set([1]));
        expect([...statuses].filter((status) => status !== 'routed' && status !== 'unavailable')).toEqual([]);
      });
    });

    it('answers unavailable while the broker blocks publishers, and goes on consuming', async () => {
      const { transport, block, unblock } = await harness.createBlockable();
      await started(transport);
      const { spec, type } = eventsQueue();
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
      await eventually(async () =>
        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
      );
    }, 60_000);

    describe('closing', () => {
      it('answers what is in flight, and everything later, unavailable', async () => {
        const transport = await started();
        const { type } = await declared(transport);
        const inFlight = Array.from({ length: 100 }, () => publish(transport, { routingKey: type }));

        await transport.close();

        for (const { status } of await Promise.all(inFlight)) expect(['routed', 'unavailable']).toContain(status);
        expect((await publish(transport, { routingKey: type })).status).toBe('unavailable');
        expect(transport.send(message({ routingKey: type }))).toBe(false);
        expect(transport.status()).toEqual({ available: false, reason: 'closed' });
      });

      it('may be asked for twice, at once and later, and before the start', async () => {
        const transport = await started();
        await Promise.all([transport.close(), transport.close()]);
        await transport.close();

        const unused = harness.create();
        await unused.close();
        await unused.start();
        expect(unused.status().available).toBe(false);
      });
    });
  });
}
