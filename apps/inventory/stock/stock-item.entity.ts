import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('stock')
export class StockItem {
  @PrimaryColumn('varchar', { length: 64 })
  sku!: string;

  /** What new orders can take. */
  @Column('integer')
  available!: number;
}
