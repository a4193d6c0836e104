import { InvalidSetupError } from '../../libs/reliable-mq/src/event/errors';
import { eventually } from '../support/eventually';
import type { TransportBench } from './transport-bench';
import { collector, publish, publishMany } from './transport-requests';

/** What every transport promises of its queues. */
export function describeTopology(bench: TransportBench): void {
  describe('topology', () => {
    it('declares a deleted queue again and consumes on', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      const deliveries = collector();
      await transport.subscribe(spec, 10, deliveries.take);
      await publish(transport, { routingKey: type });
      await deliveries.next(1);

      await bench.harness.deleteQueue(spec.name);

      await eventually(async () =>
        expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' }),
      );
      await deliveries.next(2);
    });

    it('goes on after a purge', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 3);
      await bench.harness.purge(spec.name);
      expect(await bench.harness.waiting(spec.name)).toBe(0);

      const deliveries = collector();
      await transport.subscribe(spec, 10, deliveries.take);
      await publish(transport, { routingKey: type }, { messageId: 'after' });
      const [delivery] = await deliveries.next(1);
      expect(delivery?.message.messageId).toBe('after');
    });

    it('tells how many messages wait in a queue, without those that consumers hold, and how many consumers there are', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 3);
      await eventually(async () =>
        expect(await transport.queueState(spec.name)).toEqual({ messages: 3, consumers: 0 }),
      );
      const deliveries = collector({ settle: false });
      await transport.subscribe(spec, 2, deliveries.take);
      await deliveries.next(2);
      await eventually(async () =>
        expect(await transport.queueState(spec.name)).toEqual({ messages: 1, consumers: 1 }),
      );
    });

    it('tells of each queue that does not exist, and of the next one at once', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 1);
      await eventually(async () => expect(await transport.queueState(spec.name)).toMatchObject({ messages: 1 }));
      for (let round = 0; round < 5; round += 1) {
        expect(await transport.queueState(`${spec.name}.none`)).toBe('no-queue');
        expect(await transport.queueState(spec.name)).toMatchObject({ messages: 1 });
      }
      const names = [`${spec.name}.none`, spec.name, `${spec.name}.neither`, spec.name];
      const answers = await Promise.all(names.map((name) => transport.queueState(name)));
      expect(answers).toMatchObject(['no-queue', { messages: 1 }, 'no-queue', { messages: 1 }]);
    });

    it('cannot tell how full a queue is while the broker is away, nor when it is closed', async () => {
      const transport = await bench.started();
      const { spec, type } = await bench.declared(transport);
      await publishMany(transport, type, 1);
      await eventually(async () => expect(await transport.queueState(spec.name)).toMatchObject({ messages: 1 }));
      await bench.harness.goOffline();
      await eventually(async () => expect(await transport.queueState(spec.name)).toBeUndefined());
      await bench.harness.goOnline();
      await eventually(async () => expect(await transport.queueState(spec.name)).toMatchObject({ messages: 1 }));
      await transport.close();
      expect(await transport.queueState(spec.name)).toBeUndefined();
    });

    it('puts a removed binding back when it is refreshed', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      await transport.subscribe(spec, 1, () => undefined);
      await bench.harness.unbind(spec.name, type);
      expect((await publish(transport, { routingKey: type })).status).toBe('unroutable');

      await Promise.all([transport.refreshTopology(), transport.refreshTopology()]);

      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('puts it back beside a queue that is only consumed if it exists, and does not', async () => {
      const transport = await bench.started();
      const { spec, type } = bench.eventsQueue();
      await transport.subscribe({ name: `${spec.name}.old`, kind: 'existing', bindings: [] }, 1, () => undefined);
      await transport.subscribe(spec, 1, () => undefined);
      await bench.harness.unbind(spec.name, type);

      await transport.refreshTopology();

      expect(await publish(transport, { routingKey: type })).toEqual({ status: 'routed' });
    });

    it('does not mind refreshing without a broker', async () => {
      const transport = bench.harness.create();
      await transport.refreshTopology();
      await transport.close();
      await transport.refreshTopology();
    });

    it('refuses a queue that exists with other properties, and goes on with the others', async () => {
      const transport = await bench.started();
      const { spec } = await bench.declared(transport);

      const clash = transport.subscribe({ name: spec.name, kind: 'receipts', bindings: [] }, 1, () => undefined);

      await expect(clash).rejects.toThrow(InvalidSetupError);
      await expect(clash).rejects.toThrow(spec.name);
      expect(transport.status()).toEqual({ available: true });
      expect(await publish(transport, { queue: spec.name })).toEqual({ status: 'routed' });
    });
  });
}
