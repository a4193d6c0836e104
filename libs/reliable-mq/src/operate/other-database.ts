import { DataSource, type DataSourceOptions } from 'typeorm';
import type { DatabaseName } from '../database/port';
import { createStoreSet, type StoreSet } from '../database/stores';
import { InvalidSetupError } from '../event/errors';
import { maskUri } from '../log/mask-uri';

/** Whoever looks asks one question after the other. */
const POOL_SIZE = 3;
const CONNECT_TIMEOUT_MS = 10_000;

/** Types of TypeORM by the scheme of a URL. */
const TYPES: Readonly<Record<string, DatabaseName>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mariadb',
};

/** Where the tables of a service are, for somebody who is not that service. */
export interface TablesAddress {
  readonly url: string;
  /** On PostgreSQL. @default where the connection's search_path leads */
  readonly schema?: string | undefined;
  /** `entityPrefix` of the service's DataSource. @default none */
  readonly prefix?: string | undefined;
}

/** @returns undefined when it is the URL of no database */
export function databaseOfUrl(url: unknown): DatabaseName | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const { protocol } = new URL(url);
  return Object.hasOwn(TYPES, protocol) ? TYPES[protocol] : undefined;
}

/** @returns what is wrong with it, without its password */
export function problemOfUrl(url: unknown): string | undefined {
  const type = databaseOfUrl(url);
  if (!type) return `"${maskUri(String(url))}" is no URL of a database: postgres://user@host:5432/name, or mysql://…`;
  return type === 'postgres' || sslOf(url as string) ? undefined : WRONG_SSL;
}

/** @param address without a problem: see `problemOfUrl` */
export function dataSourceAt({ url, schema, prefix }: TablesAddress): DataSource {
  const type = databaseOfUrl(url);
  const isPostgres = type === 'postgres';
  return new DataSource({
    type,
    url,
    ...(isPostgres && schema !== undefined && { schema }),
    ...(prefix !== undefined && { entityPrefix: prefix }),
    poolSize: POOL_SIZE,
    ...(isPostgres
      ? { applicationName: 'nestjs-reliable-mq', connectTimeoutMS: CONNECT_TIMEOUT_MS }
      : { connectTimeout: CONNECT_TIMEOUT_MS, ...sslOf(url) }),
  } as DataSourceOptions);
}

/**
 * Connects, and finds the tables. They may be looked at without the right to change them: what is missing is said where it is missed.
 * @throws SchemaMissingError when there are no tables, or old ones
 */
export async function openTablesAt(name: string, dataSource: DataSource): Promise<StoreSet> {
  await dataSource.initialize();
  const set = createStoreSet(name, dataSource);
  try {
    await set.database.open('verify');
  } catch (error) {
    if (!(error instanceof InvalidSetupError) || set.database.problems().length === 0) throw error;
  }
  return set;
}

const WRONG_SSL = 'ssl in the URL must be true, false or the options of mysql2 as JSON';

/**
 * TypeORM hands the whole URL to `pg`, and to `mysql2` only its parts. What stands there is what `mysql2` itself takes: `?ssl={"ca":"…"}`, or `?ssl=true`.
 * @returns undefined when it is neither
 */
function sslOf(url: string): { readonly ssl?: object } | undefined {
  const text = new URL(url).searchParams.get('ssl');
  if (text === null || text === 'false') return {};
  if (text === 'true') return { ssl: {} };
  try {
    return { ssl: JSON.parse(text) as object };
  } catch {
    return undefined;
  }
}
