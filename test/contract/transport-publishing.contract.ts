import type { QueueSpec } from '../../libs/reliable-mq/src/broker/transport';
import { eventually } from '../support/eventually';
import type { TransportBench } from './transport-bench';
import { collector, message, publish, unavailable } from './transport-requests';

/** What every transport promises of what is published and sent. */
export function describePublishing(bench: TransportBench): void {
  describe('publishing', () => {
    it('ends routed when a queue is bound', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);

      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
      expect(await bench.harness.waiting(spec.name)).toBe(1);
    });

    it('ends unroutable, with the reason, when no queue is bound', async () => {
      const transport = await bench.started();
      const type = bench.harness.queueName('nobody.listens');

      const outcome = await publish(transport, { routingKey: type });

      expect(outcome).toMatchObject({
        status: 'unroutable',
        reason: expect.stringContaining(`no queue is bound for "${type}"`),
      });
    });

    it('goes straight to one queue, past the bindings', async () => {
      const transport = await bench.started();
      const first = await bench.declared(transport);
      const second = await bench.declared(transport);

      expect(await publish(transport, { queue: second.spec.name })).toEqual({ status: 'routed' });

      expect([await bench.harness.waiting(first.spec.name), await bench.harness.waiting(second.spec.name)]).toEqual([
        0, 1,
      ]);
    });

    it('ends unroutable when the one queue does not exist', async () => {
      const transport = await bench.started();
      const queue = bench.harness.queueName('missing');

      expect(await publish(transport, { queue })).toEqual({
        status: 'unroutable',
        reason: `queue "${queue}" does not exist`,
      });
    });

    it('gives a copy to each bound queue', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      const second: QueueSpec = { ...spec, name: bench.harness.queueName('second') };
      await (await transport.subscribe(second, 1, () => undefined)).close();

      await publish(transport, { routingKey: type });

      expect([await bench.harness.waiting(spec.name), await bench.harness.waiting(second.name)]).toEqual([1, 1]);
    });

    it('tells apart two messages of one id that are in flight to different targets', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      const missing = bench.harness.queueName('missing');

      const outcomes = await Promise.all(
        [{ queue: missing }, { routingKey: type }, { routingKey: missing }, { queue: spec.name }].map((target) =>
          publish(transport, target, { messageId: 'one-id' }),
        ),
      );

      expect(outcomes.map(({ status }) => status)).toEqual(['unroutable', 'routed', 'unroutable', 'routed']);
    });

    it('never answers before it returns, available or not', async () => {
      const transport = await bench.started();
      const target = { queue: bench.harness.queueName('missing') };
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
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
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
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
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
        properties: expect.objectContaining({ messageId: 'id-1', type: 'order.created', appId: 'order' }),
        routingKey: type,
        redelivered: false,
      });
      expect(delivery?.message.body.toString()).toBe('{"名":"值"}');
    });
  });

  describe('sending', () => {
    it('hands the message over without a confirm', async () => {
      const transport = await bench.started();
      const name = bench.harness.queueName('receipts');
      const deliveries = collector();
      await transport.subscribe({ name, kind: 'receipts', bindings: [] }, 10, deliveries.take);

      // The channel for it is opened beside the one for publishing.
      await eventually(() => transport.send(message({ queue: name }, { messageId: 'receipt' })));

      const [delivery] = await deliveries.next(1);
      expect(delivery?.message.messageId).toBe('receipt');
    });

    it('drops what goes nowhere, and says nothing', async () => {
      const transport = await bench.started();
      await eventually(() => transport.send(message({ queue: bench.harness.queueName('missing') })));
      expect(transport.status()).toEqual({ available: true });
    });

    it('refuses while the broker is away', async () => {
      const transport = await bench.started();
      await bench.harness.goOffline();
      await unavailable(transport);
      expect(transport.send(message({ queue: bench.harness.queueName('missing') }))).toBe(false);
    });
  });
}
