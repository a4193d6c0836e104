import { randomUUID } from 'node:crypto';
import { Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import {
  Compensate,
  type EventFailure,
  EventRecorder,
  RejectEvent,
  ReliableEventHandler,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Repository } from 'typeorm';
import { InventoryDeducted, InventoryDeductionFailed } from '../../contracts/inventory-events';
import { NO_WAY_BACK } from '../../contracts/no-way-back';
import { OrderCancelled, OrderCreated } from '../../contracts/order-events';
import { Order, type OrderStatus } from './order.entity';
import type { PlaceOrder } from './place-order.dto';

const MAX_REASON_LENGTH = 2000;

/**
 * Orders, and who decides what becomes of them.
 *
 *   place ──► PENDING ──inventory.deducted────────────► CONFIRMED
 *                │
 *                ├──inventory.deduction-failed────────► FAILED     inventory took nothing and never will
 *                └──order.created given up──records──► FAILED     order.cancelled: inventory gives back what it took,
 *                                                                  or refuses to take it later
 *
 * CONFIRMED and FAILED are ends: each decision is one `UPDATE … WHERE status = 'PENDING'`, so the first one wins and the others
 * find that out. What a decision that came too late does:
 *
 *   arrives at                     CONFIRMED              FAILED
 *   inventory.deducted             nothing (again)        records order.cancelled: that stock must go back
 *   inventory.deduction-failed     nothing (impossible)   nothing
 *   order.created given up         nothing (it was        nothing (order.cancelled is recorded already,
 *                                  handled after all)     or inventory took nothing)
 *
 * Why per sku `initial stock = available + Σ quantity of CONFIRMED orders` once all is quiet, whatever the order of events:
 * an order is CONFIRMED only by inventory.deducted, which inventory records in the transaction that takes the stock; order.cancelled
 * is only ever recorded for an order that is FAILED, so no confirmed order's stock goes back; and a FAILED order either was told
 * that nothing was taken, or has recorded order.cancelled, which inventory obeys before as well as after the stock was taken.
 */
@Injectable()
export class OrderService {
  private readonly logger = new Logger(OrderService.name);

  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly events: EventRecorder,
  ) {}

  /** The order and the event are stored in one transaction; the broker is not needed for it. */
  @TransactionalEvent(OrderCreated, ({ id, sku, quantity }: Order) => ({ orderId: id, sku, quantity }))
  async place({ sku, quantity }: PlaceOrder): Promise<Order> {
    const order = this.orders.create({ id: randomUUID(), sku, quantity, status: 'PENDING', reason: null });
    await this.orders.insert(order);
    return order;
  }

  find(id: string): Promise<Order | null> {
    return this.orders.findOneBy({ id });
  }

  async summary(): Promise<Record<OrderStatus, number>> {
    const counts = await this.orders
      .createQueryBuilder('o')
      .select('o.status', 'status')
      .addSelect('count(*)', 'count')
      .groupBy('o.status')
      .getRawMany<{ status: OrderStatus; count: string | number }>();
    const summary: Record<OrderStatus, number> = { PENDING: 0, CONFIRMED: 0, FAILED: 0 };
    for (const { status, count } of counts) summary[status] = Number(count);
    return summary;
  }

  @ReliableEventHandler(InventoryDeducted, NO_WAY_BACK)
  async confirm(deducted: InventoryDeducted): Promise<void> {
    const { orderId, sku, quantity } = deducted;
    if (await this.decide(orderId, 'CONFIRMED')) return;
    const order = await this.known(orderId);
    if (order.status !== 'FAILED') return;
    const reason = 'the stock was taken after the order had failed';
    await this.events.record(OrderCancelled.of({ orderId, sku, quantity, reason }));
  }

  @ReliableEventHandler(InventoryDeductionFailed, NO_WAY_BACK)
  async fail({ orderId, reason }: InventoryDeductionFailed): Promise<void> {
    if (await this.decide(orderId, 'FAILED', reason)) return;
    const { status } = await this.known(orderId);
    if (status === 'CONFIRMED')
      this.logger.error('Inventory refused stock to an order that is confirmed', { orderId, reason });
  }

  /** No consumer could take order.created, or none has said so: the order fails, and inventory must hold nothing for it. */
  @Compensate(OrderCreated)
  async cancel({ orderId, sku, quantity }: OrderCreated, failure: EventFailure): Promise<void> {
    const reason = `given up: ${failure.reason}`.slice(0, MAX_REASON_LENGTH).toWellFormed();
    if (!(await this.decide(orderId, 'FAILED', reason))) return;
    await this.events.record(OrderCancelled.of({ orderId, sku, quantity, reason }));
  }

  /** @returns false when it had been decided before */
  private async decide(id: string, status: 'CONFIRMED' | 'FAILED', reason: string | null = null): Promise<boolean> {
    const { affected } = await this.orders.update({ id, status: 'PENDING' }, { status, reason });
    return affected === 1;
  }

  /**
   * An answer for an order that was never placed here. Nobody can say what became of the order (another database, a restored
   * backup), so nothing is guessed: inventory.deducted stays dead, with its stock, until a person looks at it.
   */
  private async known(id: string): Promise<Order> {
    const order = await this.find(id);
    if (!order) throw new RejectEvent(`there is no order ${id}`);
    return order;
  }
}
