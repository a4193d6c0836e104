import { IsString, MaxLength } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';
import { OrderedItem, orderKey } from './ordered-item';
import { ORDER_SERVICE } from './services';

/** An order's stock was taken. */
@ReliableEvent({ type: 'inventory.deducted', consumers: [ORDER_SERVICE], key: orderKey })
export class InventoryDeducted extends OrderedItem {}

/** An order's stock could not be taken: a decision, not a fault. */
@ReliableEvent({ type: 'inventory.deduction-failed', consumers: [ORDER_SERVICE], key: orderKey })
export class InventoryDeductionFailed extends OrderedItem {
  @IsString()
  @MaxLength(2000)
  reason!: string;
}
