import { IsInt, Matches, Max, Min } from 'class-validator';
import { MAX_QUANTITY, SKU_MESSAGE, SKU_PATTERN } from '../../contracts/ordered-item';

export class SkuParam {
  @Matches(SKU_PATTERN, { message: SKU_MESSAGE })
  sku!: string;
}

export class SetStock {
  /** What new orders can take from now on; what orders hold already is not touched. */
  @IsInt()
  @Min(0)
  @Max(MAX_QUANTITY)
  quantity!: number;
}
