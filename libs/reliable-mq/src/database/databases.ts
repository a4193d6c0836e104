import { UnsupportedDatabaseError } from '../event/errors';
import type { DatabaseKind } from './database-kind';
import { MARIADB, MYSQL } from './mysql/mysql';
import { POSTGRES } from './postgres/postgres';
import type { DatabaseName } from './port';

/** Every kind of database that there is; the first is what the command line takes when it is not told. */
const KINDS: readonly [DatabaseKind, ...DatabaseKind[]] = [POSTGRES, MYSQL, MARIADB];

export const DATABASE_NAMES: readonly DatabaseName[] = KINDS.map(({ name }) => name);

/**
 * @param driver `type` of a DataSource
 * @throws UnsupportedDatabaseError when there is none for it
 */
export function databaseFor(driver: string, dataSourceName: string): DatabaseKind {
  const kind = KINDS.find(({ drivers }) => drivers.includes(driver));
  if (kind) return kind;
  throw new UnsupportedDatabaseError(
    driver,
    dataSourceName,
    KINDS.flatMap(({ drivers }) => drivers),
  );
}

export interface SchemaScriptOptions {
  /**
   * `entityPrefix` of the application's DataSource.
   * @default none
   */
  readonly prefix?: string | undefined;
  /** @default 'postgres' */
  readonly database?: DatabaseName | undefined;
  /**
   * Build indexes of tables that exist, and may be large, beside the application that runs: for `psql`, which runs statement by statement. A
   * driver that is given the whole script takes it as one transaction, and refuses that.
   * @default false: one transaction, for new tables and small ones
   */
  readonly online?: boolean | undefined;
}

/**
 * All tables as one idempotent script; with `online` what `npx nestjs-reliable-mq schema` prints.
 * @param schema of the tables, which must exist; default: the first one of the connection's `search_path`
 */
export function schemaScript(
  schema?: string,
  { prefix = '', database, online = false }: SchemaScriptOptions = {},
): string {
  const [first] = KINDS;
  const kind = KINDS.find(({ name }) => name === database) ?? first;
  return kind.schemaScript(schema, prefix, online);
}
