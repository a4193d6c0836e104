import { MemoryBroker } from '../../libs/reliable-mq/src/broker/memory/memory-broker';
import { MemoryTransport } from '../../libs/reliable-mq/src/broker/memory/memory-transport';
import { silentLogger } from './transport-silent-logger';
import { describeTransport } from './transport.contract';

describeTransport('in-memory', async () => {
  const broker = new MemoryBroker();
  return {
    create: () => new MemoryTransport(broker, silentLogger),
    goOffline: async () => broker.goOffline(),
    goOnline: async () => broker.goOnline(),
    createBlockable: async () => ({
      transport: new MemoryTransport(broker, silentLogger),
      block: async () => broker.block(),
      unblock: async () => broker.unblock(),
    }),
    deleteQueue: async (queue) => broker.deleteQueue(queue),
    purge: async (queue) => void broker.purge(queue),
    unbind: async (queue, routingKey) => broker.unbind(queue, routingKey),
    waiting: async (queue) => broker.messages(queue).length,
    publishForeign: async (queue, body, properties) => void broker.publish({ queue }, { body, properties }),
    queueName: (name) => name,
    dispose: async () => undefined,
  };
});
