import { Client } from 'pg';
import { isLeftover, uniqueName } from './run-id';

/** Sessions that are still there then belong to somebody who does not end them, such as a killed process behind a proxy. */
const SESSIONS_END_WITHIN_MS = 5_000;

export interface TestDatabase {
  /** Connection string of the database, with the admin's user. */
  readonly url: string;
  readonly name: string;
  /** Drops it, whoever is still connected. Dropping twice is fine. */
  drop(): Promise<void>;
}

/** The admin url that the global setup left in the environment. */
export function postgresUrl(): string {
  const url = process.env.TEST_POSTGRES_URL;
  if (!url)
    throw new Error(
      'TEST_POSTGRES_URL is not set. Specs that need PostgreSQL are named *.int-spec.ts or *.e2e-spec.ts.',
    );
  return url;
}

async function asAdmin<T>(adminUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * An empty database of its own for one test file.
 *
 * @param adminUrl a user there who may create databases; default: the server of the global setup
 */
export async function createTestDatabase(
  adminUrl: string = postgresUrl(),
  encoding: 'UTF8' | 'LATIN1' = 'UTF8',
): Promise<TestDatabase> {
  const name = uniqueName();
  // A locale that goes with every encoding, where it is not the usual one.
  const locale = encoding === 'UTF8' ? '' : " LC_COLLATE 'C' LC_CTYPE 'C'";
  // template0 has no sessions that could block the copy: several files create their databases at once.
  await asAdmin(adminUrl, (admin) =>
    admin.query(`CREATE DATABASE "${name}" TEMPLATE template0 ENCODING '${encoding}'${locale}`),
  );
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return {
    name,
    url: url.href,
    drop: () =>
      asAdmin(adminUrl, async (admin) => {
        await untilSessionsEnd(admin, name);
        await dropDatabase(admin, name);
      }),
  };
}

/** Drops what files of this run did not drop, and what killed runs on this host left. */
export async function dropLeftoverDatabases(adminUrl: string): Promise<void> {
  await asAdmin(adminUrl, async (admin) => {
    const found = await admin.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datname LIKE 'rmqt\\_%'`,
    );
    for (const { datname } of found.rows.filter((row) => isLeftover(row.datname))) await dropDatabase(admin, datname);
  });
}

/**
 * Gives connections that are being closed the time for it. `end()` of a pg pool resolves before they are; one that the server
 * ends in that moment makes the pool emit an 'error' to which nobody listens any more.
 */
async function untilSessionsEnd(admin: Client, name: string): Promise<void> {
  const end = performance.now() + SESSIONS_END_WITHIN_MS;
  do {
    const { rowCount } = await admin.query('SELECT FROM pg_stat_activity WHERE datname = $1', [name]);
    if (!rowCount) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  } while (performance.now() < end);
}

async function dropDatabase(admin: Client, name: string): Promise<void> {
  await admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`);
}
