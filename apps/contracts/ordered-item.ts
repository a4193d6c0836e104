import { IsInt, IsUUID, Matches, Max, Min } from 'class-validator';

export const SKU_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
export const SKU_MESSAGE = 'sku must be 1 to 64 letters, digits, ".", "_" or "-", and begin with a letter or digit';
/** As much as stock can be set to. */
export const MAX_QUANTITY = 1_000_000_000;

/** What every event about an order says. */
export class OrderedItem {
  @IsUUID()
  orderId!: string;

  @Matches(SKU_PATTERN, { message: SKU_MESSAGE })
  sku!: string;

  @IsInt()
  @Min(1)
  @Max(MAX_QUANTITY)
  quantity!: number;

  static of<T extends object>(this: new () => T, fields: T): T {
    return Object.assign(new this(), fields);
  }
}

/** What the person on call searches an order's events by. */
export const orderKey = ({ orderId }: OrderedItem): string => orderId;
