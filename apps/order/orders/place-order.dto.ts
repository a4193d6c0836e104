import { IsInt, Matches, Max, Min } from 'class-validator';
import { MAX_QUANTITY, SKU_MESSAGE, SKU_PATTERN } from '../../contracts/ordered-item';

export class PlaceOrder {
  @Matches(SKU_PATTERN, { message: SKU_MESSAGE })
  sku!: string;

  @IsInt()
  @Min(1)
  @Max(MAX_QUANTITY)
  quantity!: number;
}
