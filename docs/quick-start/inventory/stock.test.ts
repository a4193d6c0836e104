import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { Test } from '@nestjs/testing';
import { MemoryBroker, RELIABLE_MQ_OPTIONS, type ReliableMqOptions } from 'nestjs-reliable-mq';
import { AppModule, StockService } from './app.module';

test('an order takes its stock', async () => {
  const broker = new MemoryBroker();
  let onHandled!: () => void;
  const handled = new Promise<void>((resolve) => (onHandled = resolve));
  const options: ReliableMqOptions = {
    service: 'inventory',
    transport: broker,
    hooks: { handled: () => onHandled() },
  };
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .overrideProvider(RELIABLE_MQ_OPTIONS)
    .useValue(options)
    .compile();
  const app = await module.init();
  try {
    await app.get(StockService).set('mug', 5);
    const event = { orderId: randomUUID(), sku: 'mug', quantity: 2 };
    broker.publish(
      { routingKey: 'order.created' },
      { properties: { messageId: randomUUID(), type: 'order.created' }, body: Buffer.from(JSON.stringify(event)) },
    );
    await handled; // its transaction has committed; when a handler fails, the hook is `handlingFailed`
    assert.equal((await app.get(StockService).find('mug'))?.available, 3);
  } finally {
    await app.close(); // ends timers and connections, which would keep the test from ending
  }
});
