import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { EventRecorder, RejectEvent, ReliableEventHandler } from 'nestjs-reliable-mq';
import { MoreThanOrEqual, Repository } from 'typeorm';
import { InventoryDeducted, InventoryDeductionFailed } from '../../contracts/inventory-events';
import { NO_WAY_BACK } from '../../contracts/no-way-back';
import { OrderCancelled, OrderCreated } from '../../contracts/order-events';
import type { OrderedItem } from '../../contracts/ordered-item';
import { insertIfAbsent } from '../../platform/insert-if-absent';
import { Deduction, type DeductionState } from './deduction.entity';
import { StockItem } from './stock-item.entity';

export interface Stock {
  readonly sku: string;
  readonly available: number;
  /** What orders hold now. */
  readonly deducted: number;
}

/**
 * Stock, and what each order took of it: one row per order, whose key decides which of several events comes first.
 *
 *   (no row) ──order.created, enough───────► TAKEN ──order.cancelled──► CANCELLED    the stock goes back
 *      ├───────order.created, not enough───► REFUSED
 *      └───────order.cancelled─────────────► CANCELLED                              a tombstone: nothing was taken
 *
 * The three classic cases:
 *   idempotence          order.created again: TAKEN and REFUSED give the same answer again, and take nothing
 *   empty compensation   order.cancelled for an order that never took any leaves the tombstone
 *   suspension           order.created after order.cancelled finds it and is rejected
 *
 * Both handlers touch the order's row before the stock's: whoever comes second waits there, and no two of them deadlock.
 *
 * There is no `@Compensate` for this service's events, and must not be: the order decides. If inventory.deducted cannot be
 * consumed, the order may be CONFIRMED already or become so by a redrive, and stock given back here would be sold twice. Such
 * an event stays dead until a person redrives it; if the order has failed meanwhile, it answers with order.cancelled.
 */
@Injectable()
export class StockService {
  constructor(
    @InjectRepository(StockItem) private readonly stock: Repository<StockItem>,
    @InjectRepository(Deduction) private readonly decisions: Repository<Deduction>,
    private readonly events: EventRecorder,
  ) {}

  /** Sets what is available from now on. What orders hold is not touched, so the initial stock becomes quantity + deducted. */
  async set(sku: string, quantity: number): Promise<void> {
    await this.stock.upsert({ sku, available: quantity }, ['sku']);
  }

  /** In one statement, so that a deduction is either in both numbers or in neither. */
  async find(sku: string): Promise<Stock | null> {
    const row = await this.stock
      .createQueryBuilder('s')
      .select(['s.sku AS sku', 's.available AS available'])
      .addSelect(
        (query) =>
          query
            .select('coalesce(sum(d.quantity), 0)')
            .from(Deduction, 'd')
            .where(`d.sku = s.sku AND d.state = 'TAKEN'`),
        'deducted',
      )
      .where('s.sku = :sku', { sku })
      .getRawOne<{ sku: string; available: number; deducted: string }>();
    return row ? { ...row, deducted: Number(row.deducted) } : null;
  }

  /** The orders that hold stock, oldest first. */
  deductions(sku: string): Promise<Pick<Deduction, 'orderId' | 'quantity'>[]> {
    return this.decisions.find({
      select: { orderId: true, quantity: true },
      where: { sku, state: 'TAKEN' },
      order: { createdAt: 'ASC', orderId: 'ASC' },
    });
  }

  @ReliableEventHandler(OrderCreated)
  async deduct({ orderId, sku, quantity }: OrderCreated): Promise<void> {
    const item = { orderId, sku, quantity };
    if (!(await this.decideFirst(item, 'TAKEN'))) return this.answerAgain(orderId);
    if (await this.take(sku, quantity)) {
      await this.events.record(InventoryDeducted.of(item));
      return;
    }
    const reason = await this.whyNot(sku, quantity);
    await this.decisions.update({ orderId }, { state: 'REFUSED', reason });
    await this.events.record(InventoryDeductionFailed.of({ ...item, reason }));
  }

  @ReliableEventHandler(OrderCancelled, NO_WAY_BACK)
  async cancel({ orderId, sku, quantity, reason }: OrderCancelled): Promise<void> {
    if (await this.decideFirst({ orderId, sku, quantity }, 'CANCELLED', reason)) return;
    const { affected } = await this.decisions.update({ orderId, state: 'TAKEN' }, { state: 'CANCELLED', reason });
    if (affected !== 1) return;
    const held = await this.decisions.findOneByOrFail({ orderId });
    await this.stock.increment({ sku: held.sku }, 'available', held.quantity);
  }

  /** @returns false when something was decided for the order before */
  private decideFirst(item: OrderedItem, state: DeductionState, reason: string | null = null): Promise<boolean> {
    const { orderId, sku, quantity } = item;
    return insertIfAbsent(this.decisions, { orderId, sku, quantity, state, reason });
  }

  /** One statement, so that two orders cannot both take the last one. */
  private async take(sku: string, quantity: number): Promise<boolean> {
    const { affected } = await this.stock.decrement(
      { sku, available: MoreThanOrEqual(quantity) },
      'available',
      quantity,
    );
    return affected === 1;
  }

  private async whyNot(sku: string, quantity: number): Promise<string> {
    const item = await this.stock.findOneBy({ sku });
    return item ? `not enough stock of ${sku}: ${quantity} wanted, ${item.available} available` : `unknown sku ${sku}`;
  }

  private async answerAgain(orderId: string): Promise<void> {
    const { sku, quantity, state, reason } = await this.decisions.findOneByOrFail({ orderId });
    if (state === 'CANCELLED') throw new RejectEvent(`the order was cancelled before: ${reason}`);
    const item = { orderId, sku, quantity };
    if (state === 'TAKEN') await this.events.record(InventoryDeducted.of(item));
    else await this.events.record(InventoryDeductionFailed.of({ ...item, reason: reason ?? 'refused before' }));
  }
}
