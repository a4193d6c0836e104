import { createConnection, createPool, type RowDataPacket } from 'mysql2/promise';
import { Client, type CustomTypesConfig, Pool, types } from 'pg';
import { startMariadb } from '../tools/servers/mariadb';
import { startPostgres } from '../tools/servers/postgres';

export type DatabaseKind = 'postgres' | 'mariadb';

/** The server of a run: on a port of its own, and in its place again after it was killed. */
export interface DatabaseServer {
  readonly version: string;
  readonly port: number;
  url(database?: string): string;
  log(): string;
  start(): Promise<void>;
  kill(): Promise<void>;
  /** @returns how many */
  terminateSessions(): Promise<number>;
  createDatabase(name: string): Promise<unknown>;
  dispose(): Promise<void>;
}

/**
 * One statement's rows. Parameters are `$1`, `$2`, …; counts are numbers, columns named `is_…` are booleans and ids are text, whatever
 * the database has.
 */
export interface Queries {
  query<Row extends object>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  end(): Promise<void>;
}

/** A session of the harness's own, which a fault may end. */
export interface Session extends Queries {
  readonly ended: boolean;
}

/** What the harness's statements are made of. */
export interface Dialect {
  /** Now, by the database's clock. */
  readonly now: string;
  secondsAgo(seconds: string): string;
  /** A field of an event's payload. */
  field(name: string): string;
  /** Whether a column that holds an id is this one. */
  isId(column: string, id: string): string;
  /** A blob's beginning as text. */
  beginning(column: string): string;
  /** Makes the session wait that long for locks. */
  lockTimeout(seconds: number): string;
}

export interface ChaosDatabase {
  readonly kind: DatabaseKind;
  readonly name: string;
  readonly sql: Dialect;
  start(): Promise<DatabaseServer>;
  pool(url: string): Queries;
  /** @throws what keeps it from connecting */
  session(url: string): Promise<Session>;
}

const CONNECT_WITHIN_MS = 5_000;
const ANSWER_WITHIN_MS = 20_000;
const CONNECTIONS = 3;
const BIGINT = 20;

/** A connection that is to have counts as numbers. */
const numbers: CustomTypesConfig = {
  getTypeParser: (oid, format) => ((oid as number) === BIGINT ? Number : types.getTypeParser(oid, format)) as never,
};

const POSTGRES: ChaosDatabase = {
  kind: 'postgres',
  name: 'PostgreSQL',
  sql: {
    now: 'clock_timestamp()',
    secondsAgo: (seconds) => `clock_timestamp() - ${seconds} * interval '1 second'`,
    field: (name) => `payload ->> '${name}'`,
    isId: (column, id) => `${column}::text = ${id}`,
    beginning: (column) => `encode(substr(${column}, 1, 200), 'escape')`,
    lockTimeout: (seconds) => `SET lock_timeout = '${seconds}s'`,
  },
  start: async () => {
    const server = await startPostgres({ settings: { max_connections: '200', deadlock_timeout: '200ms' } });
    return Object.assign(server, { terminateSessions: () => server.terminateBackends() });
  },
  pool: (connectionString) => {
    const pool = new Pool({
      connectionString,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
      query_timeout: ANSWER_WITHIN_MS,
      types: numbers,
    });
    pool.on('error', () => undefined);
    return {
      query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) =>
        (await pool.query<Row>(sql, [...parameters])).rows,
      end: () => pool.end(),
    };
  },
  session: async (connectionString) => {
    const client = new Client({ connectionString, connectionTimeoutMillis: CONNECT_WITHIN_MS, types: numbers });
    let ended = false;
    client.on('error', () => (ended = true));
    client.on('end', () => (ended = true));
    await client.connect();
    return {
      get ended() {
        return ended;
      },
      query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) =>
        (await client.query<Row>(sql, [...parameters])).rows,
      end: () => client.end().catch(() => undefined),
    };
  },
};

const MARIADB: ChaosDatabase = {
  kind: 'mariadb',
  name: 'MariaDB',
  sql: {
    now: 'UTC_TIMESTAMP(6)',
    secondsAgo: (seconds) => `UTC_TIMESTAMP(6) - INTERVAL ${seconds} SECOND`,
    field: (name) => `JSON_UNQUOTE(JSON_EXTRACT(payload, '$.${name}'))`,
    isId: (column, id) => `${column} = UNHEX(REPLACE(${id}, '-', ''))`,
    beginning: (column) => `CONVERT(SUBSTR(${column}, 1, 200) USING latin1)`,
    lockTimeout: (seconds) => `SET lock_wait_timeout = ${seconds}, innodb_lock_wait_timeout = ${seconds}`,
  },
  start: () => startMariadb(),
  pool: (uri) => {
    const pool = createPool({ uri, connectionLimit: CONNECTIONS, connectTimeout: CONNECT_WITHIN_MS, timezone: 'Z' });
    return {
      query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) => {
        const [text, values] = translated(sql, parameters);
        const [rows] = await pool.query<RowDataPacket[]>({ sql: text, values, timeout: ANSWER_WITHIN_MS });
        return Array.isArray(rows) ? (rows.map(decoded) as Row[]) : [];
      },
      end: () => pool.end(),
    };
  },
  session: async (uri) => {
    const connection = await createConnection({ uri, connectTimeout: CONNECT_WITHIN_MS, timezone: 'Z' });
    let ended = false;
    connection.on('error', () => (ended = true));
    connection.on('end', () => (ended = true));
    return {
      get ended() {
        return ended;
      },
      query: async <Row extends object>(sql: string, parameters: readonly unknown[] = []) => {
        const [rows] = await connection.query<RowDataPacket[]>(...translated(sql, parameters));
        return Array.isArray(rows) ? (rows.map(decoded) as Row[]) : [];
      },
      end: async () => connection.destroy(),
    };
  },
};

export const DATABASES: Readonly<Record<DatabaseKind, ChaosDatabase>> = { postgres: POSTGRES, mariadb: MARIADB };

function translated(sql: string, parameters: readonly unknown[]): [sql: string, values: unknown[]] {
  const values: unknown[] = [];
  const text = sql.replaceAll(/'[^']*'|\$(\d+)/g, (found, number?: string) => {
    if (number === undefined) return found;
    values.push(parameters[Number(number) - 1]);
    return '?';
  });
  return [text, values];
}

function decoded(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]: [string, unknown]) => {
      if (name.startsWith('is_')) return [name, Boolean(value)];
      return [name, Buffer.isBuffer(value) && value.length === 16 ? uuidOf(value) : value];
    }),
  );
}

function uuidOf(value: Buffer): string {
  return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
