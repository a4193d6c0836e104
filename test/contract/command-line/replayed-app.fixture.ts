import { Injectable, Module } from '@nestjs/common';
import { Cron, Interval, ScheduleModule, Timeout } from '@nestjs/schedule';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import {
  EventRecorder,
  RejectEvent,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqModule,
  type ReliableMqOptions,
} from 'nestjs-reliable-mq';
import { IsString } from 'class-validator';
import { EntityManager } from 'typeorm';
import { Deduction, OrderCreated } from './two-services';

/** What has run outside of handlers' transactions. */
export const ran: string[] = [];

@ReliableEvent({ type: 'stock.deducted' })
class StockDeducted {
  @IsString() orderId!: string;
}

/** The next release of the consumer, as the command line starts it. */
@Injectable()
class StockService {
  constructor(
    private readonly manager: EntityManager,
    private readonly events: EventRecorder,
  ) {}

  @ReliableEventHandler(OrderCreated, { timeoutMs: 1000 })
  async deduct({ orderId }: OrderCreated): Promise<void> {
    ran.push(orderId);
    await this.manager.insert(Deduction, { orderId });
    await this.events.record(Object.assign(new StockDeducted(), { orderId }));
    if (orderId === 'broken') throw new TypeError('quantity is not defined');
    if (orderId === 'rejected') throw new RejectEvent('sold out');
    if (orderId === 'endless') await new Promise(() => undefined);
    if (orderId === 'swallowed') await this.manager.query('SELECT nothing').catch(() => undefined);
    if (orderId === 'ticking') await new Promise((resolve) => setTimeout(resolve, 500));
  }

  @Cron('* * * * * *')
  tick(): void {
    ran.push('cron');
  }

  @Interval(20)
  again(): void {
    ran.push('interval');
  }

  @Timeout(20)
  once(): void {
    ran.push('timeout');
  }
}

@Module({
  imports: [
    ScheduleModule.forRoot(),
    TypeOrmModule.forRootAsync({
      useFactory: () =>
        ({
          type: process.env['REPLAY_DATABASE_KIND'],
          url: process.env['REPLAY_DATABASE_URL'],
          entities: [Deduction],
          retryAttempts: 0,
        }) as TypeOrmModuleOptions,
    }),
    ReliableMqModule.forRootAsync({
      useFactory: (): ReliableMqOptions => ({
        service: 'stock',
        rabbitmq: { uri: process.env['REPLAY_AMQP_URL'] ?? '', exchange: process.env['REPLAY_EXCHANGE'] ?? '' },
      }),
    }),
  ],
  providers: [StockService],
})
export class AppModule {}

@Module({ providers: [] })
export class OtherModule {}
