import type { DataSource } from 'typeorm';
import { InvalidSetupError } from '../../event/errors';
import { queryOutsidePool } from './outside-pool';
import { queryAlone } from './sql';
import { rememberSchema, sqlNamesOf } from './sql-names';

interface SearchPath {
  /** Where it leads to the outbox, if there is one on it. */
  readonly found: string | null;
  /** Where a new table would be created; null: nowhere. */
  readonly current: string | null;
}

/**
 * Find the schema of the tables where the DataSource names none, once, so that no statement depends on a session's `search_path`
 * from then on: transactions set it for themselves, as for tenants, and an event would go where no job looks.
 *
 * Asked in a session of the pool, in which something may have left another path (a migration that says SET), and in a new one, which
 * has missed what the application sets for each session of its pool.
 * @throws InvalidSetupError when they disagree
 */
export async function findSchema(dataSource: DataSource, name: string): Promise<void> {
  const names = sqlNamesOf(dataSource);
  if (names.schema !== undefined) return;
  const sql = `SELECT current_schema()::text AS current,
    (SELECT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)) AS found`;
  const [pooled] = await queryAlone<SearchPath>(dataSource, sql, [names.outbox]);
  const [fresh] = await queryOutsidePool<SearchPath>(dataSource, sql, [names.outbox]);
  const schemas = agreed(pooled, fresh);
  if (schemas.length > 1) {
    throw new InvalidSetupError([
      `The search_path of DataSource "${name}" is not the same in every session: it leads to the schemas ${schemas.join(' and ')}. ` +
        `Say where the tables of nestjs-reliable-mq are to be: TypeOrmModule.forRoot({ schema: '…' }).`,
    ]);
  }
  const [schema] = schemas;
  if (schema !== undefined) rememberSchema(dataSource, schema);
}

/** Where the tables are, or else where they would be created. */
function agreed(...paths: readonly (SearchPath | undefined)[]): readonly string[] {
  for (const which of ['found', 'current'] as const) {
    const schemas = new Set(paths.flatMap((path) => path?.[which] ?? []));
    if (schemas.size > 0) return [...schemas];
  }
  return [];
}
