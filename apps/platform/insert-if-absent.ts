import type { ObjectLiteral, QueryDeepPartialEntity, Repository } from 'typeorm';
import { dataSourceOf } from './database-kind';

/**
 * Inserts a row, unless there is one with its key. Whoever comes while another transaction inserts it waits for that one's end.
 *
 * @returns whether it was inserted
 */
export async function insertIfAbsent<T extends ObjectLiteral>(
  repository: Repository<T>,
  row: QueryDeepPartialEntity<T>,
): Promise<boolean> {
  const insert = repository.createQueryBuilder().insert().values(row).updateEntity(false);
  const keys = repository.metadata.primaryColumns;
  if (dataSourceOf(repository.manager).options.type === 'postgres') {
    const inserted = await insert
      .orIgnore()
      .returning(keys.map(({ propertyName }) => propertyName))
      .execute();
    return (inserted.raw as unknown[]).length === 1;
  }
  // Not IGNORE, by which many may share a lock of the row that is there: as soon as two of them change it, they deadlock.
  const upserted = await insert.orUpdate(keys.map(({ databaseName }) => databaseName)).execute();
  return (upserted.raw as { affectedRows: number }).affectedRows === 1;
}
