import { Body, Controller, Get, Injectable, Module, Param, Post } from '@nestjs/common';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { Compensate, EventFailure, ReliableMqModule, TransactionalEvent } from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';
import { OrderCreated } from '../contract/order-created';

@Entity('orders')
export class Order {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() sku!: string;
  @Column() quantity!: number;
  @Column({ default: 'PLACED' }) status!: string;
}

@Injectable()
export class OrderService {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  // One local transaction: the order and the event are stored together, or not at all.
  @TransactionalEvent(OrderCreated, ({ id, sku, quantity }: Order) => ({ orderId: id, sku, quantity }))
  place(sku: string, quantity: number): Promise<Order> {
    return this.orders.save({ sku, quantity });
  }

  // The event could not be handled: undo the business. Tried until it has committed, once.
  @Compensate(OrderCreated)
  async cancel({ orderId }: OrderCreated, failure: EventFailure): Promise<void> {
    await this.orders.update(orderId, { status: `CANCELLED: ${failure.reason}` });
  }

  find(id: string): Promise<Order | null> {
    return this.orders.findOneBy({ id });
  }
}

@Controller('orders')
export class OrderController {
  constructor(private readonly orders: OrderService) {}

  @Post()
  place(@Body() order: { sku: string; quantity: number }): Promise<Order> {
    return this.orders.place(order.sku, order.quantity);
  }

  @Get(':id')
  find(@Param('id') id: string): Promise<Order | null> {
    return this.orders.find(id);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env.DATABASE_URL ?? 'postgres://postgres:postgres@localhost:5432/shop_order',
      autoLoadEntities: true,
      synchronize: true, // makes the table of Order while you try things out
      poolSize: 20, // a message in hand holds a connection
    }),
    TypeOrmModule.forFeature([Order]),
    ReliableMqModule.forRoot({
      service: 'order',
      rabbitmq: { uri: process.env.AMQP_URL ?? 'amqp://localhost:5672' },
    }),
  ],
  controllers: [OrderController],
  providers: [OrderService],
})
export class AppModule {}
