import { Body, Controller, Get, Injectable, Module, Param, Put } from '@nestjs/common';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { RejectEvent, ReliableEventHandler, ReliableMqModule } from 'nestjs-reliable-mq';
import { Column, Entity, MoreThanOrEqual, PrimaryColumn, Repository } from 'typeorm';
import { OrderCreated } from '../contract/order-created';

@Entity('stock')
export class StockItem {
  @PrimaryColumn() sku!: string;
  @Column() available!: number;
}

@Injectable()
export class StockService {
  constructor(@InjectRepository(StockItem) private readonly stock: Repository<StockItem>) {}

  // One local transaction with the inbox row, acknowledged after the commit. A duplicate finds that row and does nothing.
  @ReliableEventHandler(OrderCreated)
  async deduct({ sku, quantity }: OrderCreated): Promise<void> {
    const enough = { sku, available: MoreThanOrEqual(quantity) };
    const { affected } = await this.stock.decrement(enough, 'available', quantity);
    // Any other error is retried. This one is not: the order service cancels at once.
    if (affected === 0) throw new RejectEvent(`not enough of ${sku}`);
  }

  set(sku: string, available: number): Promise<StockItem> {
    return this.stock.save({ sku, available });
  }

  find(sku: string): Promise<StockItem | null> {
    return this.stock.findOneBy({ sku });
  }
}

@Controller('stock')
export class StockController {
  constructor(private readonly stock: StockService) {}

  @Put(':sku')
  set(@Param('sku') sku: string, @Body() body: { available: number }): Promise<StockItem> {
    return this.stock.set(sku, body.available);
  }

  @Get(':sku')
  find(@Param('sku') sku: string): Promise<StockItem | null> {
    return this.stock.find(sku);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env.DATABASE_URL ?? 'postgres://postgres:postgres@localhost:5432/shop_inventory',
      autoLoadEntities: true,
      synchronize: true,
      poolSize: 20,
    }),
    TypeOrmModule.forFeature([StockItem]),
    ReliableMqModule.forRoot({
      service: 'inventory',
      rabbitmq: { uri: process.env.AMQP_URL ?? 'amqp://localhost:5672' },
    }),
  ],
  controllers: [StockController],
  providers: [StockService],
})
export class AppModule {}
