import { userInfo } from 'node:os';
import { Client } from 'pg';
import { maskedUrl } from './masked-url';

const ANSWER_WITHIN_MS = 500;
/** In the place of a url: one is started, whatever answers. */
const PRIVATE = 'private';

/** What keeps this url from serving the tests, or undefined when it answers and may create databases. */
async function obstacle(url: string, timeoutMs: number): Promise<string | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: timeoutMs, query_timeout: timeoutMs });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const result = await client.query<{ allowed: boolean }>(
      'SELECT rolcreatedb OR rolsuper AS allowed FROM pg_roles WHERE rolname = current_user',
    );
    return result.rows[0]?.allowed === true ? undefined : 'its user may not create databases (ALTER USER … CREATEDB)';
  } catch (error) {
    return error instanceof Error ? error.message || error.name : String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * A PostgreSQL that answers and where databases may be created: `TEST_POSTGRES_URL` or `PGURL` when set (`private`: none), else 127.0.0.1:5432
 * without a password as postgres, root or the current user.
 *
 * @returns an admin url, or undefined when nothing answers
 * @throws Error when the environment names a server that does not do: a wrong setting is not silently replaced
 */
export async function findPostgres(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  for (const name of ['TEST_POSTGRES_URL', 'PGURL']) {
    const url = env[name];
    if (!url) continue;
    if (url === PRIVATE) return undefined;
    const reason = await obstacle(url, 10 * ANSWER_WITHIN_MS);
    if (reason === undefined) return url;
    throw new Error(
      `${name}=${maskedUrl(url)} cannot be used: ${reason}. Correct it, or unset it to get a private PostgreSQL.`,
    );
  }
  for (const user of new Set(['postgres', 'root', userInfo().username])) {
    const url = `postgres://${encodeURIComponent(user)}@127.0.0.1:5432/postgres`;
    if ((await obstacle(url, ANSWER_WITHIN_MS)) === undefined) return url;
  }
  return undefined;
}
