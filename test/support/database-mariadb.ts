import { createConnection, createPool, type Connection, type Pool, type RowDataPacket } from 'mysql2/promise';
import type { InboxRow, LibraryTable, OutboxRow, RowFilter, RowValues, TestDatabase } from './database';
import { isLeftover, uniqueName } from './run-id';

/** Sessions that are still there then belong to somebody who does not end them, such as a killed process behind a proxy. */
const SESSIONS_END_WITHIN_MS = 5_000;
const CONNECTIONS = 3;

/** Moments are UTC in the tables. */
const AS_STORED = { timezone: 'Z' } as const;

/** @param adminUrl a user there who may create databases; MySQL does too */
export async function createMariadbDatabase(adminUrl: string): Promise<TestDatabase> {
  const name = uniqueName();
  await asAdmin(adminUrl, (admin) => admin.query(`CREATE DATABASE \`${name}\` CHARACTER SET utf8mb4`));
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return new MariadbTestDatabase(name, url.href, adminUrl);
}

/** One that somebody else drops. */
export function mariadbDatabaseAt(url: string): TestDatabase {
  return new MariadbTestDatabase(new URL(url).pathname.slice(1), url, undefined);
}

class MariadbTestDatabase implements TestDatabase {
  readonly kind = 'mariadb';
  /** Opened by the first statement. */
  private pool: Pool | undefined;

  constructor(
    readonly name: string,
    readonly url: string,
    private readonly adminUrl: string | undefined,
  ) {}

  async query<Row>(sql: string, parameters: readonly unknown[] = []): Promise<Row[]> {
    const [rows] = await this.connections().query<RowDataPacket[]>(...translated(sql, parameters));
    return rows as unknown as Row[];
  }

  async outbox({ id }: RowFilter = {}): Promise<OutboxRow[]> {
    const rows = await this.query<Record<string, unknown>>(
      `SELECT * FROM reliable_mq_outbox ${id === undefined ? '' : 'WHERE id = $1'} ORDER BY id`,
      id === undefined ? [] : [binary(id)],
    );
    return rows.map((row) => ({ ...decoded(row), confirm: row.confirm === 1 })) as unknown as OutboxRow[];
  }

  async inbox({ id }: RowFilter = {}): Promise<InboxRow[]> {
    const rows = await this.query<Record<string, unknown>>(
      `SELECT *, CAST(TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), due_at) / 1000 AS DOUBLE) AS due_in_ms
       FROM reliable_mq_inbox ${id === undefined ? '' : 'WHERE event_id = $1'} ORDER BY consumer, received_at`,
      id === undefined ? [] : [id],
    );
    return rows.map(decoded) as unknown as InboxRow[];
  }

  async insert(table: LibraryTable, values: RowValues): Promise<void> {
    const given = { ...OF_EVERY_ROW[table], ...values };
    const placeholders = Object.values(given).map(placeholder);
    await this.query(
      `INSERT INTO reliable_mq_${table} (${Object.keys(given).join(', ')}) VALUES (${placeholders.join(', ')})`,
      Object.entries(given).map(parameter),
    );
  }

  async update(table: LibraryTable, { id }: RowFilter, values: RowValues): Promise<void> {
    const changes = Object.keys(values).map((name, index) => `${name} = ${placeholder(values[name], index)}`);
    const key = table === 'outbox' ? 'id' : 'event_id';
    const where = id === undefined ? '' : `WHERE ${key} = $${changes.length + 1}`;
    await this.query(`UPDATE reliable_mq_${table} SET ${changes.join(', ')} ${where}`, [
      ...Object.entries(values).map(parameter),
      ...(id === undefined ? [] : [parameter([key, id])]),
    ]);
  }

  async makeDue(table: LibraryTable, sinceMs = 0): Promise<void> {
    await this.query(
      `UPDATE reliable_mq_${table} SET due_at = UTC_TIMESTAMP(6) - INTERVAL $1 MICROSECOND WHERE due_at IS NOT NULL`,
      [Math.round(sinceMs * 1000)],
    );
  }

  async passed(ms: number): Promise<void> {
    await this.query('SELECT SLEEP($1)', [ms / 1000]);
  }

  async empty(...tables: readonly string[]): Promise<void> {
    for (const table of tables) await this.query(`DELETE FROM ${table}`);
  }

  async locking<T>(table: string, where: string | undefined, work: () => Promise<T>): Promise<T> {
    const connection = await this.connections().getConnection();
    try {
      if (where === undefined) await connection.query(`LOCK TABLES ${table} WRITE`);
      else {
        await connection.query('START TRANSACTION');
        await connection.query(...translated(`SELECT 1 FROM ${table} WHERE ${where} FOR UPDATE`, []));
      }
      return await work();
    } finally {
      await connection.query(where === undefined ? 'UNLOCK TABLES' : 'COMMIT');
      connection.release();
    }
  }

  async waitingForLocks(): Promise<number> {
    const waiting = await this.transactions((text) => /^LOCK WAIT/m.test(text));
    const rows = await this.query<{ session: number; state: string | null }>(
      'SELECT ID AS session, STATE AS state FROM information_schema.PROCESSLIST WHERE DB = DATABASE()',
    );
    return rows.filter(({ session, state }) => waiting.has(session) || state?.startsWith('Waiting for table')).length;
  }

  async idleTransactions(): Promise<number[]> {
    const open = await this.transactions(() => true);
    const rows = await this.query<{ session: number }>(
      `SELECT ID AS session FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND COMMAND = 'Sleep'`,
    );
    return rows.map(({ session }) => session).filter((session) => open.has(session));
  }

  /**
   * Sessions with a transaction. INNODB_TRX has the same as a table, which is not made anew for as long as somebody keeps reading it ten times a
   * second.
   */
  private async transactions(which: (text: string) => boolean): Promise<ReadonlySet<number>> {
    const [row] = await this.query<{ Status: string }>('SHOW ENGINE INNODB STATUS');
    const texts = (row?.Status ?? '')
      .split('---TRANSACTION ')
      .filter((text) => /^\d+, ACTIVE/.test(text) && which(text));
    return new Set(texts.flatMap((text) => Number(/(?:MariaDB|MySQL) thread id (\d+)/.exec(text)?.[1] ?? [])));
  }

  async sessionOf(runs: { query(sql: string): Promise<unknown> }): Promise<number> {
    const [row] = (await runs.query('SELECT CONNECTION_ID() AS session')) as [{ session: number | string }];
    return Number(row.session);
  }

  async hasSession(id: number): Promise<boolean> {
    return (await this.query('SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = $1', [id])).length > 0;
  }

  async endSession(id: number): Promise<void> {
    await this.query(`KILL ${id}`);
  }

  async drop(): Promise<void> {
    await this.pool?.end();
    this.pool = undefined;
    if (this.adminUrl === undefined) return;
    await asAdmin(this.adminUrl, async (admin) => {
      await endSessions(admin, this.name);
      await admin.query(`DROP DATABASE IF EXISTS \`${this.name}\``);
    });
  }

  private connections(): Pool {
    return (this.pool ??= createPool({ uri: this.url, connectionLimit: CONNECTIONS, ...AS_STORED }));
  }
}

/** `$1` and `"name"` as MySQL has them. */
function translated(sql: string, parameters: readonly unknown[]): [sql: string, values: unknown[]] {
  const values: unknown[] = [];
  const text = sql.replaceAll(/'[^']*'|"([^"]+)"|\$(\d+)/g, (found, name?: string, number?: string) => {
    if (name !== undefined) return `\`${name}\``;
    if (number === undefined) return found;
    values.push(parameters[Number(number) - 1]);
    return '?';
  });
  return [text, values];
}

/** What the library writes into every row, and the tables have no default for. */
const OF_EVERY_ROW: Readonly<Record<LibraryTable, RowValues>> = {
  outbox: { history: '[]', outcomes: '{}', created_at: { inMs: 0 } },
  inbox: { history: '[]', received_at: { inMs: 0 } },
};

type RowValue = RowValues[string] | undefined;

function isMoment(value: RowValue): value is { readonly inMs: number } {
  return typeof value === 'object' && value !== null && 'inMs' in value;
}

function placeholder(value: RowValue, index: number): string {
  return isMoment(value) ? `UTC_TIMESTAMP(6) + INTERVAL $${index + 1} MICROSECOND` : `$${index + 1}`;
}

function parameter([name, value]: readonly [string, RowValue]): unknown {
  if (isMoment(value)) return Math.round(value.inMs * 1000);
  return IDS.includes(name) && typeof value === 'string' ? binary(value) : value;
}

function binary(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

const IDS = ['id', 'claim_token', 'causation_id'];
const JSON_TEXTS = ['headers', 'consumers', 'history', 'outcomes', 'properties'];

/** The columns as other databases have them. */
function decoded(row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => {
      if (IDS.includes(column) && Buffer.isBuffer(value)) return [column, uuidOf(value)];
      if (JSON_TEXTS.includes(column) && typeof value === 'string') return [column, JSON.parse(value) as unknown];
      return [column, value];
    }),
  );
}

function uuidOf(value: Buffer): string {
  return value.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function asAdmin<T>(adminUrl: string, work: (admin: Connection) => Promise<T>): Promise<T> {
  const admin = await createConnection({ uri: adminUrl });
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

export async function dropLeftoverMariadbDatabases(adminUrl: string): Promise<void> {
  await asAdmin(adminUrl, async (admin) => {
    const [found] = await admin.query<RowDataPacket[]>(
      `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'rmqt\\_%'`,
    );
    for (const { name } of found as unknown as { name: string }[]) {
      if (!isLeftover(name)) continue;
      await endSessions(admin, name);
      await admin.query(`DROP DATABASE IF EXISTS \`${name}\``);
    }
  });
}

/** Gives connections that are being closed the time for it; others would keep a DROP DATABASE waiting. */
async function endSessions(admin: Connection, name: string): Promise<void> {
  const end = performance.now() + SESSIONS_END_WITHIN_MS;
  for (;;) {
    const [rows] = await admin.query<RowDataPacket[]>(
      'SELECT ID AS id FROM information_schema.PROCESSLIST WHERE DB = ?',
      [name],
    );
    if (rows.length === 0) return;
    if (performance.now() > end) {
      for (const { id } of rows as unknown as { id: number }[]) await admin.query(`KILL ${id}`).catch(() => undefined);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
