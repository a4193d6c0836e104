import { randomUUID } from 'node:crypto';
import { type EventFailure, RejectEvent } from 'nestjs-reliable-mq';
import type { InventoryDeducted, InventoryDeductionFailed } from '../../apps/contracts/inventory-events';
import type { OrderCancelled, OrderCreated } from '../../apps/contracts/order-events';
import { INVENTORY } from '../../apps/inventory/inventory.identity';
import { InventoryModule } from '../../apps/inventory/inventory.module';
import { StockService } from '../../apps/inventory/stock/stock.service';
import { ORDER } from '../../apps/order/order.identity';
import { OrderModule } from '../../apps/order/order.module';
import { OrderService } from '../../apps/order/orders/order.service';
import { Random } from '../../chaos/random';
import { describeEachDatabase } from '../support/each-database';
import { type SilentService, startSilently } from './in-process';

/** What a broker, and a producer that gives up, may do to one event. */
type Step = { readonly do: 'deliver' | 'give up'; readonly type: string; readonly payload: object };

/**
 * Both services, and between them the worst network there can be: every event is delivered late, in any order, several times,
 * several at once, and order.created may be given up before or after inventory has handled it. Only loss is left out: what the
 * library promises is that everything arrives in the end.
 */
describeEachDatabase('orders and stock under any order of events', (database) => {
  let order: SilentService;
  let inventory: SilentService;

  beforeAll(async () => {
    order = await startSilently(ORDER, (settings) => OrderModule.with(settings), database);
    inventory = await startSilently(INVENTORY, (settings) => InventoryModule.with(settings), database);
  });

  afterAll(async () => {
    await order.dispose();
    await inventory.dispose();
  });

  it.each([1, 2, 3, 4, 5, 6])('agree in the end (seed %d)', async (seed) => {
    const numbers = new Random(seed);
    const pick = (count: number): number => numbers.integer(0, count - 1);
    const orders = order.app.get(OrderService);
    const stock = inventory.app.get(StockService);
    const sku = `sku-${randomUUID()}`;
    const initial = 30;
    await stock.set(sku, initial);

    const ids: string[] = [];
    for (let count = 0; count < 25; count += 1) ids.push((await orders.place({ sku, quantity: 1 + pick(3) })).id);

    const run = async ({ do: what, type, payload }: Step): Promise<void> => {
      const failure: EventFailure = { eventId: randomUUID(), type, reason: 'nobody answered', outcomes: [] };
      const handlers: Record<string, () => Promise<void>> = {
        'order.created': () =>
          what === 'give up'
            ? order.handle(() => orders.cancel(payload as OrderCreated, failure))
            : inventory.handle(() => stock.deduct(payload as OrderCreated)),
        'order.cancelled': () => inventory.handle(() => stock.cancel(payload as OrderCancelled)),
        'inventory.deducted': () => order.handle(() => orders.confirm(payload as InventoryDeducted)),
        'inventory.deduction-failed': () => order.handle(() => orders.fail(payload as InventoryDeductionFailed)),
      };
      await handlers[type]?.().catch((error: unknown) => {
        if (!(error instanceof RejectEvent)) throw error;
      });
    };

    const known = new Set<string>();
    const waiting: Step[] = [];
    const collect = async (): Promise<void> => {
      for (const { id, type, payload } of [...(await order.recorded()), ...(await inventory.recorded())]) {
        if (known.has(id) || (payload as { sku: string }).sku !== sku) continue;
        known.add(id);
        const copies = 1 + pick(3);
        for (let copy = 0; copy < copies; copy += 1) waiting.push({ do: 'deliver', type, payload: payload as object });
        if (type === 'order.created' && numbers.next() < 0.5)
          waiting.push({ do: 'give up', type, payload: payload as object });
      }
    };
    await collect();
    while (waiting.length > 0) {
      const atOnce = Array.from(
        { length: Math.min(waiting.length, 1 + pick(4)) },
        () => waiting.splice(pick(waiting.length), 1)[0] as Step,
      );
      await Promise.all(atOnce.map(run));
      await collect();
    }

    let confirmed = 0;
    const ends = new Set<string>();
    for (const id of ids) {
      const { status, quantity } = (await orders.find(id)) ?? {};
      ends.add(status ?? 'missing');
      if (status === 'CONFIRMED') confirmed += quantity ?? 0;
    }
    expect([...ends].sort()).toEqual(['CONFIRMED', 'FAILED']);
    await expect(stock.find(sku)).resolves.toEqual({ sku, available: initial - confirmed, deducted: confirmed });
  });
});
