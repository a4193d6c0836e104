import { Client } from 'pg';
import { type PostgresServer, startPostgres } from '../../tools/servers/postgres';
import { libraryTables, otherEvents, pendingByHand, pendingEvents } from '../seed';
import { HAND_INBOX } from '../works/hand-inbox';
import { HAND_OUTBOX, ORDERS_TABLE } from '../works/hand-outbox';
import { STOCK } from '../works/stock';
import type { BenchDatabase, Seed } from './bench-database';

/** Memory and log as a small server of one's own would have them, so that checkpoints do not fall into one measurement and not into the next. */
const SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  shared_buffers: '1GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
};

export class PostgresForBench implements BenchDatabase {
  readonly kind = 'postgres';
  readonly seed: Seed = {
    orders: ORDERS_TABLE,
    handOutbox: HAND_OUTBOX,
    handInbox: HAND_INBOX,
    stock: STOCK,
    library: libraryTables,
    pending: (count, isFuture = false) => (isFuture ? pendingEvents(count, `'infinity'`) : pendingEvents(count)),
    pendingByHand,
    others: otherEvents,
  };
  /** Databases that are copied, by the statements that made them. */
  private readonly originals = new Map<string, string>();

  private constructor(readonly server: PostgresServer) {}

  static async start(): Promise<PostgresForBench> {
    return new PostgresForBench(await startPostgres({ settings: SETTINGS }));
  }

  get version(): string {
    return this.server.version;
  }

  get pid(): number | undefined {
    return this.server.pid;
  }

  url(database?: string): string {
    return this.server.url(database);
  }

  async create(name: string, statements: readonly string[]): Promise<string> {
    const url = await this.server.createDatabase(name);
    await this.sql(url, statements);
    return url;
  }

  /** The statements are run once, and what they made is copied. */
  async copy(name: string, statements: readonly string[]): Promise<string> {
    const key = statements.join('\n');
    let original = this.originals.get(key);
    if (original === undefined) {
      original = `${name}_original`;
      await this.create(original, statements);
      this.originals.set(key, original);
    }
    await this.sql(this.url(), [`CREATE DATABASE "${name}" TEMPLATE "${original}"`]);
    return this.url(name);
  }

  async drop(name: string): Promise<void> {
    await this.sql(this.url(), [`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`]);
  }

  async sql<Row>(url: string, statements: readonly string[]): Promise<Row[]> {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      let rows: Row[] = [];
      for (const statement of statements) rows = (await client.query(statement)).rows as Row[];
      return rows;
    } finally {
      await client.end();
    }
  }

  async settle(): Promise<void> {
    await this.sql(this.url(), ['CHECKPOINT']);
  }

  dispose(): Promise<void> {
    return this.server.dispose();
  }
}
