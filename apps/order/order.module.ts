import { type DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { consoleModule } from '../platform/console.module';
import { databaseModule } from '../platform/database.module';
import { HealthController } from '../platform/health.controller';
import type { ServiceSettings } from '../platform/settings';
import { TelemetryModule } from '../platform/telemetry.module';
import { ORDER } from './order.identity';
import { reliableMqOverAmqpConnection } from './broker';
import { CreateOrders1764000000001 } from './migrations/1764000000001-create-orders';
import { Order } from './orders/order.entity';
import { OrderService } from './orders/order.service';
import { OrdersController } from './orders/orders.controller';

/** inventory.deducted and inventory.deduction-failed. */
const QUEUES = 2;

@Module({})
export class OrderModule {
  static with({ databaseUrl, reliableMq, isObserved, console }: ServiceSettings): DynamicModule {
    return {
      module: OrderModule,
      imports: [
        databaseModule({
          url: databaseUrl,
          entities: [Order],
          migrations: [CreateOrders1764000000001],
          handlersAtOnce: QUEUES * (reliableMq.consume?.prefetch ?? 10),
        }),
        TypeOrmModule.forFeature([Order]),
        ScheduleModule.forRoot(),
        ...(isObserved ? [TelemetryModule.with(ORDER.name)] : []),
        ...(console ? [consoleModule(console)] : []),
        reliableMqOverAmqpConnection(reliableMq),
      ],
      controllers: [OrdersController, HealthController],
      providers: [OrderService],
    };
  }
}
