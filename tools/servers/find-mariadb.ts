import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { maskedUrl } from './masked-url';

const ANSWER_WITHIN_MS = 500;
/** In the place of a url: one is started, whatever answers. */
const PRIVATE = 'private';

/** What keeps this url from serving the tests, or undefined when it answers and may create databases. */
async function obstacle(url: string, timeoutMs: number): Promise<string | undefined> {
  let connection: Connection | undefined;
  try {
    connection = await createConnection({ uri: url, connectTimeout: timeoutMs });
    const [grants] = await connection.query<RowDataPacket[]>({ sql: 'SHOW GRANTS', rowsAsArray: true });
    const may = (grants as unknown as string[][]).some(([grant = '']) =>
      /(ALL PRIVILEGES|CREATE\b.*) ON \*\.\*/.test(grant),
    );
    return may ? undefined : 'its user may not create databases (GRANT ALL PRIVILEGES ON *.* TO …)';
  } catch (error) {
    return error instanceof Error ? error.message || error.name : String(error);
  } finally {
    connection?.destroy();
  }
}

/**
 * A MariaDB or MySQL that answers and where databases may be created: `TEST_MYSQL_URL` or `MYSQL_URL` when set (`private`: none),
 * else 127.0.0.1:3306 as root without a password.
 *
 * @returns an admin url, or undefined when nothing answers
 * @throws Error when the environment names a server that does not do: a wrong setting is not silently replaced
 */
export async function findMariadb(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  for (const name of ['TEST_MYSQL_URL', 'MYSQL_URL']) {
    const url = env[name];
    if (!url) continue;
    if (url === PRIVATE) return undefined;
    const reason = await obstacle(url, 10 * ANSWER_WITHIN_MS);
    if (reason === undefined) return url;
    throw new Error(
      `${name}=${maskedUrl(url)} cannot be used: ${reason}. Correct it, or unset it to get a private MariaDB.`,
    );
  }
  const usual = 'mysql://root@127.0.0.1:3306/mysql';
  return (await obstacle(usual, ANSWER_WITHIN_MS)) === undefined ? usual : undefined;
}
