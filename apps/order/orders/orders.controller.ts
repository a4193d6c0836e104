import { Body, Controller, Get, NotFoundException, Param, Post } from '@nestjs/common';
import { isUUID } from 'class-validator';
import type { Order, OrderStatus } from './order.entity';
import { OrderService } from './order.service';
import { PlaceOrder } from './place-order.dto';

type PlacedOrder = Pick<Order, 'id' | 'sku' | 'quantity' | 'status'>;
type OrderView = PlacedOrder & Pick<Order, 'reason'>;

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrderService) {}

  @Post()
  async place(@Body() body: PlaceOrder): Promise<PlacedOrder> {
    const { id, sku, quantity, status } = await this.orders.place(body);
    return { id, sku, quantity, status };
  }

  // Before ':id', which would take it for an order's id.
  @Get('summary')
  summary(): Promise<Record<OrderStatus, number>> {
    return this.orders.summary();
  }

  @Get(':id')
  async get(@Param('id') id: string): Promise<OrderView> {
    const order = isUUID(id) ? await this.orders.find(id) : null;
    if (!order) throw new NotFoundException(`There is no order ${id}`);
    const { sku, quantity, status, reason } = order;
    return { id: order.id, sku, quantity, status, reason };
  }
}
