import { connect } from 'amqplib';
import { maskedUrl } from './masked-url';

const ANSWER_WITHIN_MS = 500;
/** In the place of a url: one is started, whatever answers. */
const PRIVATE = 'private';
const LOCAL_URL = 'amqp://guest:guest@127.0.0.1:5672';

/**
 * Opens an AMQP connection and closes it again.
 *
 * @param timeoutMs for the whole handshake
 * @returns the broker's version, e.g. "3.10.8"
 */
export async function serverVersion(url: string, timeoutMs: number): Promise<string> {
  // amqplib's own timeout ends with the TCP connection: something that accepts and then says nothing needs this one.
  let timer: NodeJS.Timeout | undefined;
  const opening = connect(url, { timeout: timeoutMs });
  try {
    const connection = await Promise.race([
      opening,
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no AMQP handshake within ${timeoutMs} ms`)), timeoutMs);
      }),
    ]);
    connection.on('error', () => undefined);
    const version: unknown = connection.connection.serverProperties.version;
    await connection.close().catch(() => undefined);
    return String(version);
  } catch (error) {
    opening.then((late) => late.close()).catch(() => undefined);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function obstacle(url: string, timeoutMs: number): Promise<string | undefined> {
  try {
    await serverVersion(url, timeoutMs);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message || error.name : String(error);
  }
}

/**
 * A RabbitMQ that answers: `TEST_RABBITMQ_URL` or `AMQP_URL` when set (`private`: none), else guest on 127.0.0.1:5672.
 *
 * @returns its url, or undefined when nothing answers
 * @throws Error when the environment names a broker that does not answer: a wrong setting is not silently replaced
 */
export async function findRabbitmq(env: NodeJS.ProcessEnv = process.env): Promise<string | undefined> {
  for (const name of ['TEST_RABBITMQ_URL', 'AMQP_URL']) {
    const url = env[name];
    if (!url) continue;
    if (url === PRIVATE) return undefined;
    const reason = await obstacle(url, 10 * ANSWER_WITHIN_MS);
    if (reason === undefined) return url;
    throw new Error(
      `${name}=${maskedUrl(url)} cannot be used: ${reason}. Correct it, or unset it to get a private RabbitMQ.`,
    );
  }
  return (await obstacle(LOCAL_URL, ANSWER_WITHIN_MS)) === undefined ? LOCAL_URL : undefined;
}
