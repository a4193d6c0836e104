import type { SqlNames } from '../sql-names';
import type { NewIndex, SchemaMigration } from './schema-migration';

export function indexesOf({ indexes }: SchemaMigration, names: SqlNames): readonly NewIndex[] {
  return indexes?.(names) ?? [];
}

/** Keeps whoever writes to the table waiting while it reads the whole table: for small ones. */
export function buildStatement({ name, table, on }: NewIndex): string {
  return `CREATE INDEX IF NOT EXISTS ${name} ON ${table} ${on}`;
}

/**
 * Keeps nobody waiting, and must not stand in a transaction. What an earlier try has left half built is dropped before, because
 * `IF NOT EXISTS` would take it for whole.
 */
export function buildOnlineStatements({ name, table, on }: NewIndex, names: SqlNames): readonly [string, string] {
  const inSchema = names.inSchema(name);
  return [
    `DO $half_built$ BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('${inSchema.replaceAll("'", "''")}') AND NOT indisvalid) THEN
    DROP INDEX ${inSchema};
  END IF;
END $half_built$`,
    `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${table} ${on}`,
  ];
}
