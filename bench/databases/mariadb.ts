import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { schemaScript } from 'nestjs-reliable-mq';
import { type MariadbServer, startMariadb } from '../../tools/servers/mariadb';
import { EVENT_TYPE, NOTE, SKUS } from '../works/order-payload';
import type { BenchDatabase, Seed } from './bench-database';

/** As the server of PostgreSQL has them. */
const SETTINGS = {
  'innodb-flush-log-at-trx-commit': '1',
  'innodb-buffer-pool-size': '1G',
  'innodb-log-file-size': '4G',
};

/** UUIDv7 as a process would have made them a second ago, in the order of `seq`. */
const ID = `UNHEX(CONCAT(LPAD(HEX(FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000) - 1000 + seq DIV 1000), 12, '0'), '7', LPAD(HEX(seq MOD 1000), 3, '0'),
  '8', LPAD(HEX(seq), 15, '0')))`;
const OLD_ID = `UNHEX(CONCAT('00000000', LPAD(HEX(seq DIV 65536), 4, '0'), '70008000', LPAD(HEX(seq), 12, '0')))`;
const PAYLOAD = `JSON_OBJECT('orderId', '01900000-0000-7000-8000-000000000000', 'sku', CONCAT('sku-', seq MOD ${SKUS}), 'quantity', 1 + seq MOD 7,
  'customer', 'Grace Brewster Murray Hopper', 'address', '1 Compiler Street, 10001 New York, United States of America',
  'placedAt', '2026-01-01T00:00:00.000Z', 'note', '${NOTE}')`;
const DUE = `UTC_TIMESTAMP(6) - INTERVAL 1 MINUTE + INTERVAL seq MICROSECOND`;
const NEVER = `'9000-01-01'`;

function insertEvents(id: string, from: number, to: number, status: string, payload: string, due: string): string {
  const attempts = status === 'pending' ? 0 : 1;
  const published = status === 'pending' ? 'NULL' : 'UTC_TIMESTAMP(6)';
  const ended = status === 'consumed' ? 'UTC_TIMESTAMP(6) - INTERVAL 1 HOUR' : 'NULL';
  return `INSERT INTO reliable_mq_outbox
    (id, type, version, payload, payload_bytes, consumers, confirm, status, attempts, due_at, history, outcomes, created_at, published_at, ended_at)
    SELECT id, '${EVENT_TYPE}', 1, payload, LENGTH(payload), '[]', TRUE, '${status}', ${attempts}, ${due}, '[]', '{}', UTC_TIMESTAMP(6), ${published}, ${ended}
    FROM (SELECT seq, ${id} AS id, ${payload} AS payload FROM seq_${from}_to_${to}) AS numbered`;
}

export class MariadbForBench implements BenchDatabase {
  readonly kind = 'mariadb';
  readonly seed: Seed = {
    orders: `CREATE TABLE orders (id BINARY(16) PRIMARY KEY, sku VARCHAR(40) NOT NULL, quantity INT NOT NULL, created_at DATETIME(6) NOT NULL DEFAULT NOW(6))`,
    handOutbox: [
      `CREATE TABLE outbox (id BINARY(16) PRIMARY KEY, type VARCHAR(120) NOT NULL, payload LONGTEXT NOT NULL, due_at DATETIME(6),
        created_at DATETIME(6) NOT NULL DEFAULT NOW(6), KEY outbox_due (due_at))`,
    ],
    handInbox: 'CREATE TABLE inbox (id VARCHAR(36) PRIMARY KEY, at DATETIME(6) NOT NULL DEFAULT NOW(6))',
    stock: [
      'CREATE TABLE stock (sku VARCHAR(40) PRIMARY KEY, quantity INT NOT NULL)',
      `INSERT INTO stock SELECT CONCAT('sku-', seq), 1000000 FROM seq_0_to_${SKUS - 1}`,
    ],
    library: () => [schemaScript(undefined, { database: 'mariadb' })],
    pending: (count, isFuture = false) => [
      insertEvents(ID, 1, count, 'pending', PAYLOAD, isFuture ? NEVER : DUE),
      'ANALYZE TABLE reliable_mq_outbox',
    ],
    pendingByHand: (count) => [
      `INSERT INTO outbox (id, type, payload, due_at) SELECT ${ID}, '${EVENT_TYPE}', ${PAYLOAD}, NOW(6) - INTERVAL 1 MINUTE + INTERVAL seq MICROSECOND
       FROM seq_1_to_${count}`,
      'ANALYZE TABLE outbox',
    ],
    others: (finished, future) => [
      insertEvents(OLD_ID, 1, finished, 'consumed', `'{}'`, 'NULL'),
      insertEvents(
        OLD_ID,
        finished + 1,
        finished + future,
        'published',
        `'{}'`,
        'UTC_TIMESTAMP(6) + INTERVAL 1 DAY + INTERVAL seq * 1000 MICROSECOND',
      ),
      'ANALYZE TABLE reliable_mq_outbox',
    ],
  };

  private constructor(private readonly server: MariadbServer) {}

  static async start(): Promise<MariadbForBench> {
    return new MariadbForBench(await startMariadb({ settings: SETTINGS }));
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

  /** There is nothing to copy from: the statements are run again. */
  copy(name: string, statements: readonly string[]): Promise<string> {
    return this.create(name, statements);
  }

  async drop(name: string): Promise<void> {
    await this.sql(this.url(), [`DROP DATABASE IF EXISTS \`${name}\``]);
  }

  async sql<Row>(url: string, statements: readonly string[]): Promise<Row[]> {
    const connection = await createConnection({ uri: url, multipleStatements: true });
    try {
      let rows: unknown = [];
      for (const statement of statements) [rows] = await connection.query<RowDataPacket[]>(statement);
      return rows as Row[];
    } finally {
      await connection.end();
    }
  }

  /** Commits are in the log already; pages are written beside the work, as in production. */
  async settle(): Promise<void> {
    await this.sql(this.url(), ['FLUSH LOGS']);
  }

  dispose(): Promise<void> {
    return this.server.dispose();
  }
}
