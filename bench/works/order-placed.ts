import { IsInt, IsISO8601, IsString, IsUUID, MaxLength, Min } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';
import { EVENT_TYPE, type OrderPayload } from './order-payload';

export { EVENT_TYPE, payload, PAYLOAD_SQL, SKUS } from './order-payload';

/** The library's event of it, validated as a user would. What works without the library takes the payload alone. */
@ReliableEvent({ type: EVENT_TYPE })
export class OrderPlaced implements OrderPayload {
  @IsUUID() orderId!: string;
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
  @IsString() @MaxLength(100) customer!: string;
  @IsString() @MaxLength(200) address!: string;
  @IsISO8601() placedAt!: string;
  @IsString() @MaxLength(500) note!: string;
}
