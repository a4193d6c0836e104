import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { IsInt, IsUUID, Min } from 'class-validator';
import {
  Compensate,
  EventContext,
  EventFailure,
  EventOperations,
  EventRecorder,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqHealth,
  ReliableMqModule,
  type ReliableMqOptions,
  TransactionalEvent,
} from 'nestjs-reliable-mq';
import { Column, Entity, PrimaryGeneratedColumn, Repository } from 'typeorm';

// The whole of an application as somebody writes it who has only the package. It prints what became of one order.

@Entity('orders')
class Order {
  @PrimaryGeneratedColumn('uuid')
  id!: string;

  @Column('int')
  quantity!: number;

  @Column('varchar', { default: 'PENDING' })
  status!: string;
}

@ReliableEvent({ type: 'order.created', consumers: ['shop'] })
class OrderCreated {
  @IsUUID()
  orderId!: string;

  @IsInt()
  @Min(1)
  quantity!: number;
}

@Injectable()
class OrderService {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    readonly events: EventRecorder,
  ) {}

  @TransactionalEvent(OrderCreated, (order: Order) => ({ orderId: order.id, quantity: order.quantity }))
  place(quantity: number): Promise<Order> {
    return this.orders.save({ quantity });
  }

  @ReliableEventHandler(OrderCreated)
  async confirm(event: OrderCreated, context: EventContext): Promise<void> {
    await this.orders.update(event.orderId, { status: `CONFIRMED in attempt ${context.attempt}` });
  }

  @Compensate(OrderCreated)
  async cancel(event: OrderCreated, failure: EventFailure): Promise<void> {
    await this.orders.update(event.orderId, { status: `FAILED: ${failure.reason}` });
  }
}

let onConsumed: () => void = () => undefined;
const consumed = new Promise<void>((resolve) => (onConsumed = resolve));

@Module({
  imports: [
    TypeOrmModule.forRoot({
      poolSize: 20,
      type: 'postgres',
      url: process.env['DATABASE_URL'] ?? '',
      entities: [Order],
      synchronize: true,
    }),
    TypeOrmModule.forFeature([Order]),
    ReliableMqModule.forRootAsync({
      useFactory: (): ReliableMqOptions => ({
        service: 'shop',
        transport: 'memory',
        schema: 'verify', // the tables were made by `npx nestjs-reliable-mq schema`
        hooks: { consumed: () => onConsumed() },
      }),
    }),
  ],
  providers: [OrderService],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['warn', 'error', 'fatal'] });
  const { id } = await app.get(OrderService).place(2);
  await consumed;
  const { status } = await app.get<Repository<Order>>('OrderRepository').findOneByOrFail({ id });
  const [event] = await app.get(EventOperations).list({ type: 'order.created' });
  const { healthy, reasons } = await app.get(ReliableMqHealth).check();
  console.log(JSON.stringify({ status, event: event?.status, healthy, reasons }));
  await app.close();
}

void main();
