import { DataSource, type DataSourceOptions } from 'typeorm';
import { createStoreSet } from '../../database/stores';
import { InvalidSetupError } from '../../event/errors';
import { maskUri } from '../../log/mask-uri';
import { Operations } from '../operations';
import { type CommandContext, type Given, type OpenTables, type OptionSpec, UsageError } from './command';

/** A command asks one question after the other. */
const POOL_SIZE = 3;
const CONNECT_TIMEOUT_MS = 10_000;

/** Where the tables are, of every command that asks a database. */
export const TABLE_OPTIONS: readonly OptionSpec[] = [
  { name: 'schema', value: 'NAME', help: "schema of the tables (default: where the connection's search_path leads)" },
  { name: 'prefix', value: 'PREFIX', help: 'entityPrefix of the DataSource (default: nothing)' },
];
export const DATABASE_OPTION: OptionSpec = {
  name: 'database',
  value: 'URL',
  help: 'the database (default: DATABASE_URL)',
};

/** Types of TypeORM by the scheme of a URL. */
const TYPES: Readonly<Record<string, 'postgres' | 'mysql' | 'mariadb'>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mariadb',
};

/**
 * Does the work on the tables of each URL, and closes the connections.
 * @throws UsageError when there is no URL, or one that is none; SchemaMissingError when there are no tables, or old ones
 */
export async function withTables<T>(
  urls: readonly (string | undefined)[],
  given: Given,
  work: (tables: readonly [OpenTables, ...OpenTables[]]) => Promise<T>,
): Promise<T> {
  const dataSources = urls.map((url) => dataSourceOf(url, given));
  try {
    const [first, ...more] = await Promise.all(dataSources.map((each, index) => open(each, urls[index] ?? '')));
    if (!first) throw new UsageError('there is no database: set DATABASE_URL, or give --database URL');
    return await work([first, ...more]);
  } finally {
    await Promise.all(dataSources.filter((each) => each.isInitialized).map((each) => each.destroy()));
  }
}

/** On the one database that was given, or is in the environment. */
export function withDatabase<T>(
  given: Given,
  { env }: CommandContext,
  work: (tables: OpenTables) => Promise<T>,
): Promise<T> {
  return withTables([given.text('database') ?? env['DATABASE_URL']], given, ([tables]) => work(tables));
}

/** @throws UsageError */
export function dataSourceOf(url: string | undefined, given: Given): DataSource {
  if (url === undefined || url === '')
    throw new UsageError('there is no database: set DATABASE_URL, or give --database URL');
  const type = URL.canParse(url) ? TYPES[new URL(url).protocol] : undefined;
  if (!type)
    throw new UsageError(`"${maskUri(url)}" is no URL of a database: postgres://user@host:5432/name, or mysql://…`);
  const { schema, prefix } = { schema: given.text('schema'), prefix: given.text('prefix') };
  const isPostgres = type === 'postgres';
  if (schema !== undefined && !isPostgres)
    throw new UsageError('--schema is for PostgreSQL: elsewhere the database is named in its URL');
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
 * TypeORM hands the whole URL to `pg`, and to `mysql2` only its parts. What stands there is what `mysql2` itself takes: `?ssl={"ca":"…"}`, or `?ssl=true`.
 * @throws UsageError
 */
function sslOf(url: string): { readonly ssl?: object } {
  const text = new URL(url).searchParams.get('ssl');
  if (text === null || text === 'false') return {};
  if (text === 'true') return { ssl: {} };
  try {
    return { ssl: JSON.parse(text) as object };
  } catch {
    throw new UsageError('ssl in the URL must be true, false or the options of mysql2 as JSON');
  }
}

/** The tables may be looked at without the right to change them: what is missing is said where it is missed. */
async function open(dataSource: DataSource, url: string): Promise<OpenTables> {
  await dataSource.initialize();
  const name = new URL(url).pathname.slice(1) || 'default';
  const set = createStoreSet(name, dataSource);
  try {
    await set.database.open('verify');
  } catch (error) {
    if (!(error instanceof InvalidSetupError) || set.database.problems().length === 0) throw error;
  }
  const { operations } = set;
  return { ...set, url: maskUri(url), people: new Operations(operations), source: { name, operations } };
}
