import type { DataSource } from 'typeorm';
import { maskUri } from '../../log/mask-uri';
import { Operations } from '../operations';
import { databaseOfUrl, dataSourceAt, openTablesAt, problemOfUrl } from '../other-database';
import { type CommandContext, type Given, type OpenTables, type OptionSpec, UsageError } from './command';

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
  const schema = given.text('schema');
  const problem = problemOfUrl(url);
  if (problem !== undefined) throw new UsageError(problem);
  if (schema !== undefined && databaseOfUrl(url) !== 'postgres')
    throw new UsageError('--schema is for PostgreSQL: elsewhere the database is named in its URL');
  return dataSourceAt({ url, schema, prefix: given.text('prefix') });
}

async function open(dataSource: DataSource, url: string): Promise<OpenTables> {
  const name = new URL(url).pathname.slice(1) || 'default';
  const set = await openTablesAt(name, dataSource);
  const { operations } = set;
  return { ...set, url: maskUri(url), people: new Operations(operations), source: { name, operations } };
}
