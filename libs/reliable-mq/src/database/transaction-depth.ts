import type { QueryRunner } from 'typeorm';

/** How many transactions, the outermost and those nested in it, are open. TypeORM keeps it in a protected field of every query runner. */
export function depthOf(queryRunner: QueryRunner): number {
  return (queryRunner as unknown as { transactionDepth?: number }).transactionDepth ?? 1;
}
