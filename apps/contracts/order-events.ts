import { IsString, MaxLength } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';
import { OrderedItem, orderKey } from './ordered-item';
import { INVENTORY_SERVICE } from './services';

/** An order was placed and wants its stock. */
@ReliableEvent({ type: 'order.created', consumers: [INVENTORY_SERVICE], key: orderKey })
export class OrderCreated extends OrderedItem {}

/** An order will never be confirmed: whatever it took, or would still take, goes back. */
@ReliableEvent({ type: 'order.cancelled', consumers: [INVENTORY_SERVICE], key: orderKey })
export class OrderCancelled extends OrderedItem {
  @IsString()
  @MaxLength(2000)
  reason!: string;
}
