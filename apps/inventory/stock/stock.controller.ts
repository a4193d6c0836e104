import { Body, Controller, Get, NotFoundException, Param, Put } from '@nestjs/common';
import type { Deduction } from './deduction.entity';
import { SetStock, SkuParam } from './set-stock.dto';
import { type Stock, StockService } from './stock.service';

@Controller('stock')
export class StockController {
  constructor(private readonly stock: StockService) {}

  @Put(':sku')
  async set(@Param() { sku }: SkuParam, @Body() { quantity }: SetStock): Promise<Stock> {
    await this.stock.set(sku, quantity);
    return this.get({ sku });
  }

  @Get(':sku')
  async get(@Param() { sku }: SkuParam): Promise<Stock> {
    const stock = await this.stock.find(sku);
    if (!stock) throw new NotFoundException(`There is no stock of ${sku}`);
    return stock;
  }

  @Get(':sku/deductions')
  deductions(@Param() { sku }: SkuParam): Promise<Pick<Deduction, 'orderId' | 'quantity'>[]> {
    return this.stock.deductions(sku);
  }
}
