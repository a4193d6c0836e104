import { Column, CreateDateColumn, Entity, PrimaryColumn } from 'typeorm';

/**
 * - `TAKEN`: the order holds this stock
 * - `REFUSED`: there was not enough; the answer stays the same, whoever asks again
 * - `CANCELLED`: the order failed; the stock went back, or is never to be taken
 */
export type DeductionState = 'TAKEN' | 'REFUSED' | 'CANCELLED';

/** What this service decided for one order. Its key makes every decision happen once. */
@Entity('deductions')
export class Deduction {
  @PrimaryColumn('uuid', { name: 'order_id' })
  orderId!: string;

  @Column('varchar', { length: 64 })
  sku!: string;

  @Column('integer')
  quantity!: number;

  @Column('varchar', { length: 9 })
  state!: DeductionState;

  /** Why it was refused or cancelled. */
  @Column('text', { nullable: true })
  reason!: string | null;

  @CreateDateColumn({ name: 'created_at' })
  createdAt!: Date;
}
