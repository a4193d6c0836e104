import type { DataSource, EntityManager, QueryRunner } from 'typeorm';

/** The DataSource that a manager or a query runner belongs to: TypeORM 1 calls it `dataSource`, 0.3 `connection`. */
export function dataSourceOf(owner: EntityManager | QueryRunner): DataSource {
  const { dataSource } = owner as { readonly dataSource?: DataSource };
  // TypeORM 1 warns of the old name: it is asked for only where the new one is missing.
  return dataSource ?? (owner as { readonly connection: DataSource }).connection;
}
