import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsInt, IsUUID } from 'class-validator';
import {
  Compensate,
  type EventFailure,
  EventRecorder,
  ReliableEvent,
  ReliableEventHandler,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';

@Entity()
export class PlacedOrder {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('int') quantity!: number;
}

/** One row per run of a handler or a compensation that has committed. */
@Entity()
export class Effect {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column('uuid') orderId!: string;
  @Column('varchar') kind!: 'deducted' | 'cancelled';
}

@ReliableEvent({ type: 'order.placed' })
export class OrderPlaced {
  @IsUUID() orderId!: string;
  @IsInt() quantity!: number;
}

@Injectable()
export class OrderService {
  readonly failures: EventFailure[] = [];

  constructor(
    @InjectRepository(PlacedOrder) private readonly orders: Repository<PlacedOrder>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(OrderPlaced, ({ id, quantity }: PlacedOrder) => ({ orderId: id, quantity }))
  place(quantity = 1): Promise<PlacedOrder> {
    return this.orders.save({ quantity });
  }

  /** So many orders, in transactions of one thousand. */
  async placeMany(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1000) {
      await this.placeTogether(Array.from({ length: Math.min(left, 1000) }, () => ({ quantity: 1 })));
    }
  }

  @TransactionalEvent(OrderPlaced, (orders: PlacedOrder[]) =>
    orders.map(({ id, quantity }) => ({ orderId: id, quantity })),
  )
  placeTogether(orders: readonly { quantity: number }[]): Promise<PlacedOrder[]> {
    return this.orders.save([...orders]);
  }
}

/** An order service that also undoes its orders. */
@Injectable()
export class CompensatingOrderService extends OrderService {
  constructor(
    @InjectRepository(PlacedOrder) orders: Repository<PlacedOrder>,
    @InjectRepository(Effect) private readonly effects: Repository<Effect>,
    events: EventRecorder,
  ) {
    super(orders, events);
  }

  @Compensate(OrderPlaced)
  async cancel({ orderId }: OrderPlaced, failure: EventFailure): Promise<void> {
    await this.effects.insert({ orderId, kind: 'cancelled' });
    this.failures.push(failure);
  }
}

@Injectable()
export class StockService {
  constructor(@InjectRepository(Effect) private readonly effects: Repository<Effect>) {}

  @ReliableEventHandler(OrderPlaced)
  async deduct({ orderId }: OrderPlaced): Promise<void> {
    await this.effects.insert({ orderId, kind: 'deducted' });
  }
}
