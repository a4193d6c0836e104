import { IsInt, IsString, IsUUID, Min } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';

// What both services know. `consumers` names who must handle it, each by the `service` of its module.
@ReliableEvent({ type: 'order.created', consumers: ['inventory'] })
export class OrderCreated {
  @IsUUID() orderId!: string;
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
}
