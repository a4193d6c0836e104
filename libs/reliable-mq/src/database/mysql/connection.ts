import type { DataSource, QueryRunner } from 'typeorm';

/** What `mysql2` answers to a statement that returns no rows. */
export interface StatementResult {
  readonly affectedRows: number;
  /** What the server has put into LAST_INSERT_ID by this statement; 0 for nothing. Text, where an option of the connection says so. */
  readonly insertId: number | string;
  /** `Rows matched: 1  Changed: 0  Warnings: 0` of an UPDATE, in the server's language. */
  readonly info: string;
  readonly serverStatus?: number;
}

/** A statement with all that says how its answer is read, so that no option of the application's connection does. */
export interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly typeCast: (field: Field) => unknown;
  readonly rowsAsArray: false;
  readonly nestTables: false;
}

export interface Field {
  readonly name: string;
  buffer(): Buffer | null;
  string(encoding: string): string | null;
}

/** A connection of `mysql2`. */
export interface MysqlConnection {
  /** As the server calls it. */
  readonly threadId: number | null;
  query(statement: Statement, done: (error: Error | null, result: unknown) => void): unknown;
  /** Prepares the statement, once for each text and connection. Takes no lists as values. */
  execute(statement: Statement, done: (error: Error | null, result: unknown) => void): unknown;
  release(): void;
  destroy(): void;
}

/** A pool of `mysql2`. */
interface ConnectionPool {
  readonly config?: {
    readonly connectionLimit?: number;
    readonly connectionConfig?: { readonly queryFormat?: unknown };
  };
  readonly _connectionQueue?: { readonly length: number };
  readonly _freeConnections?: { readonly length: number };
}

/** @returns undefined before the DataSource is initialized, or when it reads from replicas */
function poolOf(dataSource: DataSource): ConnectionPool | undefined {
  return (dataSource.driver as unknown as { readonly pool?: ConnectionPool }).pool;
}

/** @returns how many connections the DataSource may have open at once, when that is known */
export function poolSizeOf(dataSource: DataSource): number | undefined {
  return poolOf(dataSource)?.config?.connectionLimit;
}

/** @returns how many callers wait for a connection of the DataSource at this moment */
export function callersWaitingFor(dataSource: DataSource): number {
  return poolOf(dataSource)?._connectionQueue?.length ?? 0;
}

/** Connections that are open, and that nobody uses. */
export function idleConnectionsOf(dataSource: DataSource): number {
  return poolOf(dataSource)?._freeConnections?.length ?? 0;
}

/** Whether statements are put together by a function of the application's (`extra: { queryFormat }`), and not by `mysql2`. */
export function hasOwnFormat(dataSource: DataSource): boolean {
  return poolOf(dataSource)?.config?.connectionConfig?.queryFormat !== undefined;
}

export async function connectionOf(queryRunner: QueryRunner): Promise<MysqlConnection> {
  return (await queryRunner.connect()) as MysqlConnection;
}

/**
 * Close the query runner's connection for good, whatever statement it is in. Statements that still use it fail.
 * @returns the server's number of it: its side may still wait for a lock and hold others
 */
export async function destroyConnection(queryRunner: QueryRunner): Promise<number | undefined> {
  if (queryRunner.isReleased) return undefined;
  const connection = await connectionOf(queryRunner);
  connection.destroy();
  // TypeORM's own: it only says that the query runner has no connection any more. What guards its transactions would end them first.
  await (Object.getPrototypeOf(queryRunner) as QueryRunner).release.call(queryRunner);
  return connection.threadId ?? undefined;
}

/** Do something once, when this connection is given back, before anybody else may get it. */
export function onceReleased(connection: MysqlConnection, work: (connection: MysqlConnection) => void): void {
  const own = Object.getOwnPropertyDescriptor(connection, 'release');
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with the connection as `this`
  const { release } = connection;
  connection.release = () => {
    if (own) Object.defineProperty(connection, 'release', own);
    else delete (connection as Partial<MysqlConnection>).release;
    work(connection);
    release.call(connection);
  };
}
