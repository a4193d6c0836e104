import { Client, type CustomTypesConfig, Pool, types } from 'pg';
import type { InboxRow, LibraryTable, OutboxRow, RowFilter, RowValues, TestDatabase } from './database';
import { isLeftover, uniqueName } from './run-id';

/** Sessions that are still there then belong to somebody who does not end them, such as a killed process behind a proxy. */
const SESSIONS_END_WITHIN_MS = 5_000;
const CONNECTIONS = 3;

export type PostgresEncoding = 'UTF8' | 'LATIN1';

/** Type of counts, in every PostgreSQL. */
const INT8_OID = 20;

/** Counts are numbers. */
const NUMBERS: CustomTypesConfig = {
  getTypeParser: (type, format) => {
    const oid: number = type;
    return oid === INT8_OID ? Number : (types.getTypeParser(type, format) as never);
  },
};

/** @param adminUrl a user there who may create databases */
export async function createPostgresDatabase(adminUrl: string, encoding: PostgresEncoding): Promise<TestDatabase> {
  const name = uniqueName();
  // A locale that goes with every encoding, where it is not the usual one.
  const locale = encoding === 'UTF8' ? '' : " LC_COLLATE 'C' LC_CTYPE 'C'";
  // template0 has no sessions that could block the copy: several files create their databases at once.
  await asAdmin(adminUrl, (admin) =>
    admin.query(`CREATE DATABASE "${name}" TEMPLATE template0 ENCODING '${encoding}'${locale}`),
  );
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return new PostgresTestDatabase(name, url.href, adminUrl);
}

/** One that somebody else drops. */
export function postgresDatabaseAt(url: string): TestDatabase {
  return new PostgresTestDatabase(new URL(url).pathname.slice(1), url, undefined);
}

class PostgresTestDatabase implements TestDatabase {
  readonly kind = 'postgres';
  /** Opened by the first statement. */
  private pool: Pool | undefined;

  constructor(
    readonly name: string,
    readonly url: string,
    private readonly adminUrl: string | undefined,
  ) {}

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    return (await this.connections().query(sql, [...parameters])).rows as Row[];
  }

  outbox({ id }: RowFilter = {}): Promise<OutboxRow[]> {
    return this.query(
      `SELECT *, payload::text AS payload FROM reliable_mq_outbox ${id === undefined ? '' : 'WHERE id = $1'} ORDER BY id`,
      id === undefined ? [] : [id],
    );
  }

  inbox({ id }: RowFilter = {}): Promise<InboxRow[]> {
    return this.query(
      `SELECT *, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS due_in_ms
       FROM reliable_mq_inbox ${id === undefined ? '' : 'WHERE event_id = $1'} ORDER BY consumer, received_at`,
      id === undefined ? [] : [id],
    );
  }

  async insert(table: LibraryTable, values: RowValues): Promise<void> {
    const columns = Object.keys(values);
    await this.query(
      `INSERT INTO reliable_mq_${table} (${columns.join(', ')}) VALUES (${columns.map((name, index) => placeholder(values[name], index)).join(', ')})`,
      Object.values(values).map(parameter),
    );
  }

  async update(table: LibraryTable, { id }: RowFilter, values: RowValues): Promise<void> {
    const changes = Object.entries(values).map(([name, value], index) => `${name} = ${placeholder(value, index)}`);
    const key = table === 'outbox' ? 'id' : 'event_id';
    await this.query(
      `UPDATE reliable_mq_${table} SET ${changes.join(', ')} ${id === undefined ? '' : `WHERE ${key} = $${changes.length + 1}`}`,
      [...Object.values(values).map(parameter), ...(id === undefined ? [] : [id])],
    );
  }

  async makeDue(table: LibraryTable, sinceMs = 0): Promise<void> {
    await this.query(
      `UPDATE reliable_mq_${table} SET due_at = clock_timestamp() - $1 * interval '1 millisecond' WHERE due_at IS NOT NULL`,
      [sinceMs],
    );
  }

  async passed(ms: number): Promise<void> {
    await this.query('SELECT pg_sleep($1)', [ms / 1000]);
  }

  async empty(...tables: readonly string[]): Promise<void> {
    await this.query(`TRUNCATE ${tables.join(', ')}`);
  }

  async locking<T>(table: string, where: string | undefined, work: () => Promise<T>): Promise<T> {
    const client = await this.connections().connect();
    try {
      await client.query('BEGIN');
      await client.query(
        where === undefined
          ? `LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`
          : `SELECT 1 FROM ${table} WHERE ${where} FOR UPDATE`,
      );
      return await work();
    } finally {
      await client.query('COMMIT');
      client.release();
    }
  }

  async waitingForLocks(): Promise<number> {
    const rows = await this.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows.length;
  }

  async idleTransactions(): Promise<number[]> {
    const rows = await this.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`,
    );
    return rows.map(({ pid }) => pid);
  }

  async sessionOf(runs: { query(sql: string): Promise<unknown> }): Promise<number> {
    const [row] = (await runs.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }];
    return row.pid;
  }

  async hasSession(id: number): Promise<boolean> {
    return (await this.query('SELECT FROM pg_stat_activity WHERE pid = $1', [id])).length > 0;
  }

  async endSession(id: number): Promise<void> {
    await this.query('SELECT pg_terminate_backend($1)', [id]);
  }

  async drop(): Promise<void> {
    await this.pool?.end();
    this.pool = undefined;
    if (this.adminUrl === undefined) return;
    await asAdmin(this.adminUrl, async (admin) => {
      await untilSessionsEnd(admin, this.name);
      await dropDatabase(admin, this.name);
    });
  }

  private connections(): Pool {
    if (this.pool) return this.pool;
    const pool = new Pool({ connectionString: this.url, max: CONNECTIONS, types: NUMBERS });
    // A test may end the server: the next statement opens another connection.
    pool.on('error', () => undefined);
    return (this.pool = pool);
  }
}

type RowValue = RowValues[string] | undefined;

function isMoment(value: RowValue): value is { readonly inMs: number } {
  return typeof value === 'object' && value !== null && 'inMs' in value;
}

function placeholder(value: RowValue, index: number): string {
  return isMoment(value) ? `clock_timestamp() + $${index + 1} * interval '1 millisecond'` : `$${index + 1}`;
}

function parameter(value: RowValue): unknown {
  return isMoment(value) ? value.inMs : value;
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

export async function dropLeftoverPostgresDatabases(adminUrl: string): Promise<void> {
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
