import { createMariadbDatabase, dropLeftoverMariadbDatabases, mariadbDatabaseAt } from './database-mariadb';
import {
  createPostgresDatabase,
  dropLeftoverPostgresDatabases,
  postgresDatabaseAt,
  type PostgresEncoding,
} from './database-postgres';

/** The databases that the suites run on. */
export type DatabaseName = 'postgres' | 'mariadb';

/** A row of the outbox, the same whatever the database stores it as. */
export interface OutboxRow {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly event_key: string | null;
  readonly causation_id: string | null;
  /** The text as it was recorded. */
  readonly payload: string;
  readonly headers: Readonly<Record<string, unknown>> | null;
  readonly consumers: readonly string[];
  readonly confirm: boolean;
  readonly status: 'pending' | 'published' | 'consumed' | 'dead';
  readonly attempts: number;
  readonly redrives: number;
  readonly reason: string | null;
  readonly history: readonly { attempt: number; reason: string }[];
  readonly outcomes: Readonly<Record<string, { outcome: string; reason: string | null }>>;
  readonly claim_token: string | null;
  readonly due_at: Date | null;
  readonly created_at: Date;
  readonly published_at: Date | null;
  readonly ended_at: Date | null;
  readonly compensated_at: Date | null;
  readonly compensation_attempts: number;
}

/** A row of the inbox, the same whatever the database stores it as. */
export interface InboxRow {
  readonly event_id: string;
  readonly consumer: string;
  readonly type: string;
  readonly version: number;
  readonly event_key: string | null;
  readonly status: 'handled' | 'failed' | 'waiting' | 'rejected' | 'dead';
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly reason: string | null;
  readonly history: readonly { attempt: number; at: string; reason: string }[];
  readonly body: Buffer | null;
  readonly properties: Readonly<Record<string, unknown>> | null;
  readonly redrives: number;
  readonly claim_token: string | null;
  readonly due_at: Date | null;
  /** How long from now it is due, by the database's clock. */
  readonly due_in_ms: number | null;
  readonly received_at: Date;
  readonly ended_at: Date | null;
}

/** Which rows: those of one event, or all of the table. */
export interface RowFilter {
  readonly id?: string;
}

export type LibraryTable = 'outbox' | 'inbox';

/** What a test writes into columns; a moment is so long from now by the database's clock. */
export type RowValues = Readonly<Record<string, string | number | boolean | null | Buffer | { readonly inMs: number }>>;

/**
 * An empty database of a test's own, and what a test does with it beside its application, on connections that the application
 * does not have.
 */
export interface TestDatabase {
  readonly kind: DatabaseName;
  /** Connection string, with the admin's user. */
  readonly url: string;
  readonly name: string;
  /** Rows of one statement. Parameters are `$1`, `$2`, …; names that need it stand in double quotes; counts are numbers. */
  query<Row = Record<string, unknown>>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>;
  /** In the order of their ids. */
  outbox(filter?: RowFilter): Promise<OutboxRow[]>;
  /** By consumer, then as they came. */
  inbox(filter?: RowFilter): Promise<InboxRow[]>;
  /** Adds a row, without any rule of the library. */
  insert(table: LibraryTable, values: RowValues): Promise<void>;
  /** Changes rows, without any rule of the library. */
  update(table: LibraryTable, filter: RowFilter, values: RowValues): Promise<void>;
  /** Moves time on for what is due later, and what another process has claimed: it is due now, or has been for so long. */
  makeDue(table: LibraryTable, sinceMs?: number): Promise<void>;
  /** Resolves when the database's clock has moved on by so much. */
  passed(ms: number): Promise<void>;
  /** Empties tables. */
  empty(...tables: readonly string[]): Promise<void>;
  /** Locks rows, or the whole table without a condition, until the work is done. */
  locking<T>(table: string, where: string | undefined, work: () => Promise<T>): Promise<T>;
  /** How many statements wait for a lock. */
  waitingForLocks(): Promise<number>;
  /** Ids of sessions that have a transaction open and run no statement. */
  idleTransactions(): Promise<number[]>;
  /** The id of the session on which this runs its statements. */
  sessionOf(runs: { query(sql: string): Promise<unknown> }): Promise<number>;
  /** Whether the server has this session. */
  hasSession(id: number): Promise<boolean>;
  /** Ends a session, as an administrator does. */
  endSession(id: number): Promise<void>;
  /** Drops it, whoever is still connected. Dropping twice is fine. */
  drop(): Promise<void>;
}

/**
 * An empty database of its own for one test file.
 *
 * @param server which of the run's servers; or the url of a user of another one who may create databases
 */
export function createTestDatabase(
  server: string = 'postgres',
  encoding: PostgresEncoding = 'UTF8',
): Promise<TestDatabase> {
  const url = server === 'postgres' ? postgresUrl() : server === 'mariadb' ? mariadbUrl() : server;
  return isPostgres(url) ? createPostgresDatabase(url, encoding) : createMariadbDatabase(url);
}

/** A database that another process has made, and will drop. */
export function testDatabaseAt(url: string): TestDatabase {
  return isPostgres(url) ? postgresDatabaseAt(url) : mariadbDatabaseAt(url);
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

/** The same of a MariaDB, or a MySQL. */
export function mariadbUrl(): string {
  const url = process.env.TEST_MYSQL_URL;
  if (!url) {
    throw new Error(
      'There is no MariaDB: none answers at 127.0.0.1:3306, and no `mariadbd` is installed (Debian: apt-get install mariadb-server; ' +
        'macOS: brew install mariadb). Install one, or set TEST_MYSQL_URL to a MariaDB or MySQL that runs.',
    );
  }
  return url;
}

/** Drops what files of this run did not drop, and what killed runs on this host left. */
export async function dropLeftoverDatabases(adminUrl: string): Promise<void> {
  await (isPostgres(adminUrl) ? dropLeftoverPostgresDatabases(adminUrl) : dropLeftoverMariadbDatabases(adminUrl));
}

function isPostgres(url: string): boolean {
  return url.startsWith('postgres');
}
