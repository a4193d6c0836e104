import { randomUUID } from 'node:crypto';
import { RejectEvent } from 'nestjs-reliable-mq';
import { type SilentService, startSilently } from '../../../test/e2e/in-process';
import { describeEachDatabase } from '../../../test/support/each-database';
import { OrderCancelled, OrderCreated } from '../../contracts/order-events';
import { INVENTORY } from '../inventory.identity';
import { InventoryModule } from '../inventory.module';
import { StockService } from './stock.service';

describeEachDatabase('StockService', (database) => {
  let service: SilentService;
  let stock: StockService;
  let sku: string;

  beforeAll(async () => {
    service = await startSilently(INVENTORY, (settings) => InventoryModule.with(settings), database);
    stock = service.app.get(StockService);
  });

  afterAll(() => service.dispose());

  beforeEach(async () => {
    sku = `sku-${randomUUID()}`;
    await stock.set(sku, 10);
  });

  function deduct(orderId: string, quantity: number, of = sku): Promise<void> {
    return service.handle(() => stock.deduct(OrderCreated.of({ orderId, sku: of, quantity })));
  }

  function cancel(orderId: string, quantity: number): Promise<void> {
    return service.handle(() => stock.cancel(OrderCancelled.of({ orderId, sku, quantity, reason: 'given up' })));
  }

  async function answersTo(orderId: string): Promise<string[]> {
    const events = await service.recorded();
    return events.filter(({ payload }) => (payload as { orderId: string }).orderId === orderId).map(({ type }) => type);
  }

  it('takes stock and says so', async () => {
    const order = randomUUID();
    await deduct(order, 3);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 7, deducted: 3 });
    await expect(stock.deductions(sku)).resolves.toEqual([{ orderId: order, quantity: 3 }]);
    await expect(answersTo(order)).resolves.toEqual(['inventory.deducted']);
  });

  it('idempotence: the same order again takes nothing, and gets the same answer', async () => {
    const [enough, tooMuch] = [randomUUID(), randomUUID()];
    await deduct(enough, 3);
    await deduct(enough, 3);
    await deduct(tooMuch, 8);
    await stock.set(sku, 100);
    await deduct(tooMuch, 8);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 100, deducted: 3 });
    await expect(answersTo(enough)).resolves.toEqual(['inventory.deducted', 'inventory.deducted']);
    await expect(answersTo(tooMuch)).resolves.toEqual(['inventory.deduction-failed', 'inventory.deduction-failed']);
  });

  it('compensation: gives back what the order took, once', async () => {
    const order = randomUUID();
    await deduct(order, 3);
    await cancel(order, 3);
    await cancel(order, 3);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 10, deducted: 0 });
    await expect(stock.deductions(sku)).resolves.toEqual([]);
  });

  it('empty compensation: an order that never took any is remembered, and nothing is given back', async () => {
    await cancel(randomUUID(), 3);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 10, deducted: 0 });
  });

  it('empty compensation: an order that was refused gets nothing back', async () => {
    const order = randomUUID();
    await deduct(order, 11);
    await cancel(order, 11);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 10, deducted: 0 });
  });

  it('suspension: an order that was cancelled before takes nothing any more', async () => {
    const order = randomUUID();
    await cancel(order, 3);
    await expect(deduct(order, 3)).rejects.toThrow(new RejectEvent('the order was cancelled before: given up'));
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 10, deducted: 0 });
    await expect(answersTo(order)).resolves.toEqual([]);
  });

  it('refuses an article that does not exist', async () => {
    const order = randomUUID();
    await deduct(order, 1, 'ghost');
    const [answer] = (await service.recorded()).filter(
      ({ payload }) => (payload as { orderId: string }).orderId === order,
    );
    expect(answer).toMatchObject({ type: 'inventory.deduction-failed', payload: { reason: 'unknown sku ghost' } });
  });

  it('never sells a piece twice, however many orders come at once', async () => {
    await Promise.all(Array.from({ length: 30 }, () => deduct(randomUUID(), 1)));
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 0, deducted: 10 });
  });

  it('ends with the same stock whichever of deduction and cancellation comes first, also at the same time', async () => {
    const orders = Array.from({ length: 25 }, () => randomUUID());
    await Promise.all(
      orders.flatMap((order) => [
        deduct(order, 1).catch((error: unknown) => {
          if (!(error instanceof RejectEvent)) throw error;
        }),
        cancel(order, 1),
        cancel(order, 1),
      ]),
    );
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: 10, deducted: 0 });
  });
});
