import { IsInt, IsISO8601, IsString, IsUUID, MaxLength, Min } from 'class-validator';
import { ReliableEvent } from 'nestjs-reliable-mq';

/** An event of ordinary size: about 500 bytes of JSON, validated as a user would. */
@ReliableEvent({ type: 'bench.order-placed' })
export class OrderPlaced {
  @IsUUID() orderId!: string;
  @IsString() sku!: string;
  @IsInt() @Min(1) quantity!: number;
  @IsString() @MaxLength(100) customer!: string;
  @IsString() @MaxLength(200) address!: string;
  @IsISO8601() placedAt!: string;
  @IsString() @MaxLength(500) note!: string;
}

export const EVENT_TYPE = 'bench.order-placed';
export const SKUS = 1_000;

const NOTE =
  'Leave it with the neighbour if nobody answers; the bell of the second floor is the one that works. '.repeat(2);

export function payload(orderId: string, number: number): OrderPlaced {
  return {
    orderId,
    sku: `sku-${number % SKUS}`,
    quantity: 1 + (number % 7),
    customer: 'Grace Brewster Murray Hopper',
    address: '1 Compiler Street, 10001 New York, United States of America',
    placedAt: '2026-01-01T00:00:00.000Z',
    note: NOTE,
  };
}

/** The same payload as SQL, of the row number `n`, whose id is `id`. */
export const PAYLOAD_SQL = `json_build_object('orderId', id, 'sku', 'sku-' || n % ${SKUS}, 'quantity', 1 + n % 7,
  'customer', 'Grace Brewster Murray Hopper', 'address', '1 Compiler Street, 10001 New York, United States of America',
  'placedAt', '2026-01-01T00:00:00.000Z', 'note', '${NOTE}')`;
