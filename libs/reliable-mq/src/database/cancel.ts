import { connect } from 'node:net';
import type { QueryRunner } from 'typeorm';
import { DatabaseDeadlineError, within } from './deadline';
import { connectionOf } from './grouped-statements';

const CANCEL_DEADLINE_MS = 2000;
/** PostgreSQL, frontend/backend protocol, message formats: CancelRequest. */
const CANCEL_REQUEST = 80_877_102;

interface PostgresConnection {
  readonly processID?: number | null;
  readonly secretKey?: number | null;
  readonly host?: string;
  readonly port?: number;
  readonly connection?: { readonly stream?: { readonly remoteAddress?: string; readonly remotePort?: number } };
}

/**
 * Ask the server to cancel the statement that the query runner's connection is in. It does not notice that nobody listens while a
 * statement waits for a lock, so closing the connection alone would leave it waiting. The request needs no connection slot and no
 * right, hits nobody else (it carries the connection's own key), and is passed on by poolers. To the very address of the
 * connection, which another name of the server may not be after a failover.
 * @throws when the server could not be asked
 */
export async function cancelStatement(queryRunner: QueryRunner): Promise<void> {
  if (queryRunner.isReleased) return;
  const client = (await connectionOf(queryRunner)) as PostgresConnection;
  const { processID, secretKey, host, port, connection } = client;
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return;
  const { remoteAddress, remotePort } = connection?.stream ?? {};
  const socket =
    remoteAddress === undefined && host?.startsWith('/')
      ? connect(`${host}/.s.PGSQL.${port}`)
      : connect(remotePort ?? port ?? 5432, remoteAddress ?? host);
  const request = Buffer.alloc(16);
  for (const [index, value] of [request.length, CANCEL_REQUEST, processID, secretKey].entries())
    request.writeInt32BE(value, index * 4);
  const answered = new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    // The server answers by closing, once it has passed the request on.
    socket.once('close', () => resolve());
    socket.once('connect', () => socket.end(request));
    socket.resume();
  });
  try {
    const tooLong = (): Error =>
      new DatabaseDeadlineError(`the database did not take a cancel request within ${CANCEL_DEADLINE_MS} ms`);
    await within(CANCEL_DEADLINE_MS, answered, tooLong);
  } finally {
    socket.destroy();
  }
}
