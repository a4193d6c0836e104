import { randomUUID } from 'node:crypto';
import { type EventFailure, RejectEvent } from 'nestjs-reliable-mq';
import { type SilentService, startSilently } from '../../../test/e2e/in-process';
import { describeEachDatabase } from '../../../test/support/each-database';
import { InventoryDeducted, InventoryDeductionFailed } from '../../contracts/inventory-events';
import { OrderCreated } from '../../contracts/order-events';
import { ORDER } from '../order.identity';
import { OrderModule } from '../order.module';
import type { OrderStatus } from './order.entity';
import { OrderService } from './order.service';

type Decision = 'deducted' | 'refused' | 'given up';

describeEachDatabase('OrderService', (database) => {
  let service: SilentService;
  let orders: OrderService;

  beforeAll(async () => {
    service = await startSilently(ORDER, (settings) => OrderModule.with(settings), database);
    orders = service.app.get(OrderService);
  });

  afterAll(() => service.dispose());

  function arrive(decision: Decision, orderId: string, reason = 'because'): Promise<void> {
    const item = { orderId, sku: 'mug', quantity: 2 };
    const failure: EventFailure = { eventId: randomUUID(), type: 'order.created', reason, outcomes: [] };
    return service.handle(() => {
      if (decision === 'deducted') return orders.confirm(InventoryDeducted.of(item));
      if (decision === 'refused') return orders.fail(InventoryDeductionFailed.of({ ...item, reason }));
      return orders.cancel(OrderCreated.of(item), failure);
    });
  }

  async function recordedFor(id: string): Promise<string[]> {
    const events = await service.recorded();
    return events.filter(({ payload }) => (payload as { orderId: string }).orderId === id).map(({ type }) => type);
  }

  it('stores an order together with its event', async () => {
    const { id } = await orders.place({ sku: 'mug', quantity: 2 });
    await expect(orders.find(id)).resolves.toMatchObject({
      id,
      sku: 'mug',
      quantity: 2,
      status: 'PENDING',
      reason: null,
    });
    await expect(recordedFor(id)).resolves.toEqual(['order.created']);
  });

  // The table in the service's comment, and each decision twice.
  it.each<[Decision[], OrderStatus, string[]]>([
    [['deducted'], 'CONFIRMED', []],
    [['refused'], 'FAILED', []],
    [['given up'], 'FAILED', ['order.cancelled']],
    [['deducted', 'deducted'], 'CONFIRMED', []],
    [['deducted', 'refused'], 'CONFIRMED', []],
    [['deducted', 'given up'], 'CONFIRMED', []],
    [['refused', 'refused'], 'FAILED', []],
    [['refused', 'given up'], 'FAILED', []],
    [['refused', 'deducted'], 'FAILED', ['order.cancelled']],
    [['given up', 'given up'], 'FAILED', ['order.cancelled']],
    [['given up', 'refused'], 'FAILED', ['order.cancelled']],
    [['given up', 'deducted'], 'FAILED', ['order.cancelled', 'order.cancelled']],
  ])('after %j the order is %s and has recorded %j', async (decisions, status, recorded) => {
    const { id } = await orders.place({ sku: 'mug', quantity: 2 });
    for (const decision of decisions) await arrive(decision, id);
    await expect(orders.find(id)).resolves.toMatchObject({ status });
    await expect(recordedFor(id)).resolves.toEqual(['order.created', ...recorded]);
  });

  it('keeps the reason of the decision that came first', async () => {
    const { id } = await orders.place({ sku: 'mug', quantity: 2 });
    await arrive('given up', id, 'no receipt');
    await arrive('refused', id, 'not enough');
    await expect(orders.find(id)).resolves.toMatchObject({ reason: 'given up: no receipt' });
  });

  it('can be cancelled for a reason of any length, in any script', async () => {
    const { id } = await orders.place({ sku: 'mug', quantity: 2 });
    await arrive('given up', id, '🫖'.repeat(2_000));
    await expect(orders.find(id)).resolves.toMatchObject({ status: 'FAILED' });
    await expect(recordedFor(id)).resolves.toContain('order.cancelled');
  });

  it('decides once when answer and compensation come at the same time', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { id } = await orders.place({ sku: 'mug', quantity: 2 });
      await Promise.all([arrive('deducted', id), arrive('given up', id)]);
      const { status } = (await orders.find(id)) ?? {};
      const recorded = await recordedFor(id);
      // Confirmed: its stock stays. Failed: first the compensation recorded the cancellation, then the late deduction did.
      expect([status, recorded.filter((type) => type === 'order.cancelled').length]).toEqual(
        status === 'CONFIRMED' ? ['CONFIRMED', 0] : ['FAILED', 2],
      );
    }
  });

  it.each<Decision>(['deducted', 'refused'])(
    'rejects an answer (%s) for an order that it does not know',
    async (decision) => {
      await expect(arrive(decision, randomUUID())).rejects.toBeInstanceOf(RejectEvent);
    },
  );

  it('counts its orders', async () => {
    const before = await orders.summary();
    const { id } = await orders.place({ sku: 'mug', quantity: 2 });
    await orders.place({ sku: 'mug', quantity: 2 });
    await arrive('deducted', id);
    await expect(orders.summary()).resolves.toEqual({
      ...before,
      PENDING: before.PENDING + 1,
      CONFIRMED: before.CONFIRMED + 1,
    });
  });
});
