import { Client } from 'pg';
import { findPostgres } from '../tools/servers/find-postgres';
import { maskedUrl } from '../tools/servers/masked-url';
import { startPostgres } from '../tools/servers/postgres';
import type { CleanUp } from './clean-up';
import { abandonedNamespaces, databaseNames } from './namespace';

export interface DemoDatabases {
  readonly kind: 'existing' | 'embedded';
  /** For people. */
  readonly description: string;
  readonly orderUrl: string;
  readonly inventoryUrl: string;
  /** Runs that were killed, whose queues may still lie on a broker; their databases are gone now. */
  readonly abandoned: readonly string[];
}

/** Two databases of the demo's own, on a PostgreSQL that was found or is started; they go with the clean-up. */
export async function provideDatabases(
  wanted: 'existing' | 'embedded' | undefined,
  namespace: string,
  cleanUp: CleanUp,
): Promise<DemoDatabases> {
  const { url: found, problem } = wanted === 'embedded' ? { url: undefined, problem: undefined } : await find();
  if (wanted === 'existing' && !found)
    throw new Error(problem ?? 'No PostgreSQL answers on 127.0.0.1:5432, and PGURL is not set.');

  const started = found ? undefined : await startPostgres();
  if (started) cleanUp.add(() => started.dispose());
  const adminUrl = found ?? started?.url() ?? '';
  const description = found
    ? `found at ${maskedUrl(found)}; two databases of its own, dropped at the end`
    : `${started?.version}, started for this demo only${problem ? ` (${problem})` : ''}`;

  const names = databaseNames(namespace);
  const abandoned: string[] = [];
  await asAdmin(adminUrl, async (admin) => {
    const { rows } = await admin.query<{ datname: string }>('SELECT datname FROM pg_database');
    abandoned.push(...abandonedNamespaces(rows.map(({ datname }) => datname)));
    for (const old of abandoned) await drop(admin, Object.values(databaseNames(old)));
    cleanUp.add(() => asAdmin(adminUrl, (again) => drop(again, Object.values(names))));
    for (const name of Object.values(names)) await admin.query(`CREATE DATABASE "${name}" TEMPLATE template0`);
  });
  return {
    kind: found ? 'existing' : 'embedded',
    description,
    orderUrl: withDatabase(adminUrl, names.order),
    inventoryUrl: withDatabase(adminUrl, names.inventory),
    abandoned,
  };
}

async function find(): Promise<{ url: string | undefined; problem: string | undefined }> {
  try {
    return { url: await findPostgres(), problem: undefined };
  } catch (error) {
    return { url: undefined, problem: firstSentence(error) };
  }
}

async function drop(admin: Client, names: readonly string[]): Promise<void> {
  for (const name of names) await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
}

async function asAdmin(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined); // the query in progress tells it
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
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
