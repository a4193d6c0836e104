import type { EntityManager } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { connectionOf, type MysqlConnection, onceReleased } from './connection';
import { type Server, serverOf } from './server';
import { writeIn } from './sql';

/** MariaDB knows a limit for an open transaction; MySQL only one for the session, of which the transaction is a part. */
const SETTING = { mariadb: 'idle_transaction_timeout', mysql: 'wait_timeout' } as const;

const limited = new WeakMap<MysqlConnection, number>();

/**
 * Let the server roll the open transaction back, and end its session, when it has waited for a statement for so long. A process that
 * is frozen, or whose machine or network is gone, would hold its locks until TCP gives the connection up; and whoever is given its messages would
 * wait for as long. The setting is the session's, and what it was before when the connection is given back. A shorter one that the server had
 * when the application started stays.
 * @param limitMs in milliseconds; the server knows whole seconds, and rounds up
 */
export async function limitIdleTime(manager: EntityManager, limitMs: number): Promise<void> {
  const { queryRunner } = manager;
  if (!queryRunner) return;
  const server = serverOf(dataSourceOf(queryRunner));
  const seconds = Math.max(1, Math.ceil(limitMs / 1000));
  if (server.idleLimitSeconds > 0 && server.idleLimitSeconds <= seconds) return;
  const connection = await connectionOf(queryRunner);
  if (limited.get(connection) === seconds) return;
  if (!limited.has(connection)) onceReleased(connection, (own) => restore(own, server));
  limited.set(connection, seconds);
  await writeIn(manager, `SET SESSION ${SETTING[server.kind]} = ?`, [seconds]);
}

/** Sent before the connection is given to anybody else, whose statements it answers behind this one. */
function restore(connection: MysqlConnection, { kind, idleLimitSeconds }: Server): void {
  limited.delete(connection);
  const sql = `SET SESSION ${SETTING[kind]} = ${idleLimitSeconds}`;
  const statement = { sql, values: [], typeCast: () => null, rowsAsArray: false, nestTables: false } as const;
  connection.query(statement, (error) => {
    // Nobody may get a session that ends sooner than it should.
    if (error) connection.destroy();
  });
}
