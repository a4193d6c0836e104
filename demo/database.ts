import { findMariadb } from '../tools/servers/find-mariadb';
import { findPostgres } from '../tools/servers/find-postgres';
import { provideMariadb } from '../tools/servers/provide-mariadb';
import { maskedUrl } from '../tools/servers/masked-url';
import { startPostgres } from '../tools/servers/postgres';
import { queryOnce } from '../tools/servers/query-once';
import type { DemoArguments } from './arguments';
import type { CleanUp } from './clean-up';
import { abandonedNamespaces, databaseNames } from './namespace';

export interface DemoDatabases {
  readonly kind: 'existing' | 'embedded' | 'mariadb';
  /** For people. */
  readonly description: string;
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  /** Runs that were killed, whose queues may still lie on a broker; their databases are gone now. */
  readonly abandoned: readonly string[];
}

/** A server that was found, or is started for the demo and goes with the clean-up. */
interface Server {
  readonly kind: DemoDatabases['kind'];
  readonly adminUrl: string;
  readonly description: string;
}

/** Two databases of the demo's own, on a server that was found or is started; they go with the clean-up. */
export async function provideDatabases(
  wanted: DemoArguments['database'],
  namespace: string,
  cleanUp: CleanUp,
): Promise<DemoDatabases> {
  const { kind, adminUrl, description } = await (wanted === 'mariadb' ? mariadb(cleanUp) : postgres(wanted, cleanUp));
  const names = databaseNames(namespace);
  const abandoned = abandonedNamespaces(await databasesAt(adminUrl));
  for (const old of abandoned) await drop(adminUrl, Object.values(databaseNames(old)));
  cleanUp.add(() => drop(adminUrl, Object.values(names)));
  for (const name of Object.values(names)) await queryOnce(adminUrl, sqlOf(adminUrl).create(name));
  return {
    kind,
    description,
    orderUrl: withDatabase(adminUrl, names.order),
    inventoryUrl: withDatabase(adminUrl, names.inventory),
    abandoned,
  };
}

async function postgres(wanted: 'existing' | 'embedded' | undefined, cleanUp: CleanUp): Promise<Server> {
  const { url, problem } = wanted === 'embedded' ? { url: undefined, problem: undefined } : await find(findPostgres);
  if (url) return { kind: 'existing', adminUrl: url, description: foundAt(url) };
  if (wanted === 'existing')
    throw new Error(problem ?? 'No PostgreSQL answers on 127.0.0.1:5432, and PGURL is not set.');
  const server = await startPostgres();
  cleanUp.add(() => server.dispose());
  return { kind: 'embedded', adminUrl: server.url(), description: startedFor(server.version, problem) };
}

async function mariadb(cleanUp: CleanUp): Promise<Server> {
  const { url, problem } = await find(findMariadb);
  if (url) return { kind: 'mariadb', adminUrl: url, description: `MariaDB or MySQL, ${foundAt(url)}` };
  const server = await provideMariadb();
  cleanUp.add(() => server.dispose());
  return { kind: 'mariadb', adminUrl: server.url(), description: startedFor(server.version, problem) };
}

/** One that the environment names and that does not answer is a problem to tell. */
async function find(
  look: () => Promise<string | undefined>,
): Promise<{ url: string | undefined; problem: string | undefined }> {
  try {
    return { url: await look(), problem: undefined };
  } catch (error) {
    return { url: undefined, problem: firstSentence(error) };
  }
}

function foundAt(url: string): string {
  return `found at ${maskedUrl(url)}; two databases of its own, dropped at the end`;
}

function startedFor(version: string, problem: string | undefined): string {
  return `${version}, started for this demo only${problem ? ` (${problem})` : ''}`;
}

interface Sql {
  readonly list: string;
  create(name: string): string;
  drop(name: string): string;
}

const POSTGRES: Sql = {
  list: 'SELECT datname AS name FROM pg_database',
  create: (name) => `CREATE DATABASE "${name}" TEMPLATE template0`,
  drop: (name) => `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`,
};

const MYSQL: Sql = {
  list: 'SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA',
  create: (name) => `CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`,
  drop: (name) => `DROP DATABASE IF EXISTS \`${name}\``,
};

function sqlOf(url: string): Sql {
  return url.startsWith('postgres') ? POSTGRES : MYSQL;
}

async function databasesAt(adminUrl: string): Promise<string[]> {
  const rows = await queryOnce<{ name: string }>(adminUrl, sqlOf(adminUrl).list);
  return rows.map(({ name }) => name);
}

async function drop(adminUrl: string, names: readonly string[]): Promise<void> {
  for (const name of names) await queryOnce(adminUrl, sqlOf(adminUrl).drop(name));
}

function withDatabase(adminUrl: string, name: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Without what follows for the tests: how to get a private one. */
function firstSentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('. ')[0] ?? message;
}
