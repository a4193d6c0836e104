import { MemoryBroker } from './memory-broker';
import { MemoryTransport } from './memory-transport';

/** What the contract suite (test/contract) does not see: what users do to the broker in their tests. */
describe('MemoryBroker', () => {
  const logger = { log: jest.fn(), warn: jest.fn(), error: jest.fn(), debug: jest.fn() };
  const spec = {
    name: 'inventory.order.created',
    kind: 'events',
    bindings: ['order.created'],
    parkingQueue: 'inventory.parking',
  } as const;

  async function transportOf(broker: MemoryBroker): Promise<MemoryTransport> {
    const transport = new MemoryTransport(broker, logger);
    await transport.start();
    return transport;
  }

  it('is available as soon as it was started, so that a test need not wait', async () => {
    expect((await transportOf(new MemoryBroker())).status()).toEqual({ available: true });
  });

  it('shows its queues and what waits in them', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    await (await transport.subscribe(spec, 1, () => undefined)).close();

    await new Promise((resolve) =>
      transport.publish(
        {
          target: { routingKey: 'order.created' },
          messageId: '1',
          type: 'order.created',
          body: Buffer.from('{}'),
          headers: { a: 1 },
        },
        resolve,
      ),
    );

    expect(broker.queueNames()).toEqual(['inventory.parking', 'inventory.order.created']);
    expect(broker.messages('inventory.order.created')).toEqual([
      {
        body: Buffer.from('{}'),
        properties: expect.objectContaining({ messageId: '1', type: 'order.created', headers: { a: 1 } }),
      },
    ]);
    expect(broker.messages('no such queue')).toEqual([]);
    expect(broker.purge('inventory.order.created')).toBe(1);
    expect(broker.purge('no such queue')).toBe(0);
    broker.deleteQueue('no such queue');
    broker.unbind('no such queue', 'no such key');
  });

  it('takes foreign messages, and says how many queues have them', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    const received: unknown[] = [];
    await transport.subscribe(spec, 1, ({ message }) => received.push(message.messageId, message.body.toString()));

    expect(
      broker.publish({ routingKey: 'order.created' }, { body: Buffer.from('junk'), properties: { messageId: 7 } }),
    ).toBe(1);
    expect(broker.publish({ routingKey: 'nothing' })).toBe(0);

    await new Promise(setImmediate);
    expect(received).toEqual([undefined, 'junk']);
  });

  it('dead-letters what waits in a queue to its parking queue, with the reason', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    await (await transport.subscribe(spec, 1, () => undefined)).close();
    const properties = { messageId: '1', headers: { a: 1 }, expiration: '5' };
    broker.publish({ routingKey: 'order.created' }, { properties });

    expect(broker.deadLetter(spec.name, 'maxlen')).toBe(1);
    expect(broker.deadLetter('no such queue')).toBe(0);

    expect(broker.messages(spec.name)).toEqual([]);
    const [parked] = broker.messages(spec.parkingQueue);
    const death = { reason: 'maxlen', queue: spec.name, 'routing-keys': ['order.created'], 'original-expiration': '5' };
    expect(parked?.properties).toEqual({
      messageId: '1',
      headers: { a: 1, 'x-death': [expect.objectContaining(death)] },
    });
    expect(broker.deadLetter(spec.parkingQueue)).toBe(1);
    expect(broker.messages(spec.parkingQueue)).toEqual([]);
  });

  it('keeps a message as it was when it was published', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    await (await transport.subscribe(spec, 1, () => undefined)).close();
    const body = Buffer.from('before');

    await new Promise((resolve) => {
      transport.publish({ target: { queue: spec.name }, messageId: '1', type: 't', body, headers: {} }, resolve);
    });
    body.write('AFTER!');

    expect(broker.messages(spec.name)[0]?.body.toString()).toBe('before');
  });

  it('names its reasons', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    broker.block('low on disk');
    expect(transport.status().reason).toBe('blocked by the broker: low on disk');
    broker.goOffline('maintenance');
    expect(transport.status().reason).toBe('not connected to the in-memory broker: maintenance');
    broker.goOnline();
    broker.unblock();
    expect(transport.status()).toEqual({ available: true });
  });

  it('gives many messages out in order, and what comes back first', async () => {
    const broker = new MemoryBroker();
    const transport = await transportOf(broker);
    const declared = await transport.subscribe(spec, 1, () => undefined);
    await declared.close();
    for (let index = 0; index < 5_000; index += 1)
      broker.publish({ queue: spec.name }, { properties: { messageId: String(index) } });

    const holder = await transportOf(broker);
    let held = 0;
    await new Promise<void>((resolve) => {
      void holder.subscribe(spec, 7, () => (held += 1) === 7 && resolve());
    });
    await holder.close();

    const seen: [string | undefined, boolean][] = [];
    await new Promise<void>((resolve) => {
      void transport.subscribe(spec, 7, ({ message: { messageId, redelivered }, ack }) => {
        seen.push([messageId, redelivered]);
        ack();
        if (seen.length === 5_000) resolve();
      });
    });
    expect(seen).toEqual(Array.from({ length: 5_000 }, (_, index) => [String(index), index < 7]));
  });
});
