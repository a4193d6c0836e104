import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

export type OrderStatus = 'PENDING' | 'CONFIRMED' | 'FAILED';

@Entity('orders')
export class Order {
  @PrimaryColumn('uuid')
  id!: string;

  @Column('varchar', { length: 64 })
  sku!: string;

  @Column('integer')
  quantity!: number;

  @Column('varchar', { length: 9 })
  status!: OrderStatus;

  /** Why it failed. */
  @Column('text', { nullable: true })
  reason!: string | null;

  @CreateDateColumn({ name: 'created_at' })
  createdAt!: Date;
}
