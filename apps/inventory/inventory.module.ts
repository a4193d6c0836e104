import { type DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ReliableMqModule } from 'nestjs-reliable-mq';
import { consoleModule } from '../platform/console.module';
import { databaseModule } from '../platform/database.module';
import { HealthController } from '../platform/health.controller';
import type { ServiceSettings } from '../platform/settings';
import { TelemetryModule } from '../platform/telemetry.module';
import { INVENTORY } from './inventory.identity';
import { CreateStock1764000000001 } from './migrations/1764000000001-create-stock';
import { Deduction } from './stock/deduction.entity';
import { StockItem } from './stock/stock-item.entity';
import { StockController } from './stock/stock.controller';
import { StockService } from './stock/stock.service';

/** order.created and order.cancelled. */
const QUEUES = 2;

@Module({})
export class InventoryModule {
  static with({ databaseUrl, reliableMq, isObserved, console }: ServiceSettings): DynamicModule {
    return {
      module: InventoryModule,
      imports: [
        databaseModule({
          url: databaseUrl,
          entities: [StockItem, Deduction],
          migrations: [CreateStock1764000000001],
          handlersAtOnce: QUEUES * (reliableMq.consume?.prefetch ?? 10),
        }),
        TypeOrmModule.forFeature([StockItem, Deduction]),
        ScheduleModule.forRoot(),
        ...(isObserved ? [TelemetryModule.with(INVENTORY.name)] : []),
        ...(console ? [consoleModule(console)] : []),
        ReliableMqModule.forRoot(reliableMq),
      ],
      controllers: [StockController, HealthController],
      providers: [StockService],
    };
  }
}
