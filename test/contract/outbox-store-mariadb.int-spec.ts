import { DataSource, type EntityManager } from 'typeorm';
import { MysqlDatabase } from '../../libs/reliable-mq/src/database/mysql/mysql-database';
import { MysqlOutboxStore } from '../../libs/reliable-mq/src/database/mysql/mysql-outbox.store';
import { toBinary } from '../../libs/reliable-mq/src/database/mysql/values';
import type { OutboxEvent } from '../../libs/reliable-mq/src/outbox/outbox.entity';
import { createTestDatabase, type OutboxRow, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { describeOutboxStore } from './outbox-store.contract';
import type { OutboxHarness } from './outbox-store/outbox-fixture';

const TABLE = 'reliable_mq_outbox';

class MariadbHarness implements OutboxHarness {
  readonly store: MysqlOutboxStore;

  private constructor(
    readonly dataSource: DataSource,
    private readonly database: TestDatabase,
  ) {
    this.store = new MysqlOutboxStore(dataSource);
  }

  /** @param options of the application's connections, none of which may matter */
  static async open(database: TestDatabase, options: object): Promise<MariadbHarness> {
    const dataSource = new DataSource({ type: 'mariadb', url: database.url, poolSize: 16, ...options });
    await dataSource.initialize();
    await new MysqlDatabase('mariadb', dataSource).open('migrate');
    return new MariadbHarness(dataSource, database);
  }

  transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(work);
  }

  async find(id: string): Promise<OutboxEvent | null> {
    const [row] = await this.database.outbox({ id });
    return row ? toEntity(row) : null;
  }

  async setDueIn(ids: readonly string[], ms: number): Promise<void> {
    await this.dataSource.query(
      `UPDATE ${TABLE} SET due_at = UTC_TIMESTAMP(6) + INTERVAL ? MICROSECOND WHERE id IN (?)`,
      [ms * 1000, ids.map(toBinary)],
    );
  }

  async setEndedAgo(ids: readonly string[], hours: number): Promise<void> {
    await this.dataSource.query(`UPDATE ${TABLE} SET ended_at = UTC_TIMESTAMP(6) - INTERVAL ? SECOND WHERE id IN (?)`, [
      hours * 3600,
      ids.map(toBinary),
    ]);
  }

  async holding(ids: readonly string[], work: (manager: EntityManager) => Promise<void>): Promise<void> {
    await this.transaction(async (manager) => {
      await manager.query(`SELECT 1 FROM ${TABLE} WHERE id IN (?) FOR UPDATE`, [ids.map(toBinary)]);
      await work(manager);
    });
  }

  async overwrite(manager: EntityManager, id: string, values: Partial<OutboxEvent>): Promise<void> {
    for (const [property, value] of Object.entries(values)) {
      const column = property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      const isJson = ['headers', 'consumers', 'history', 'outcomes'].includes(column);
      const stored = column === 'claim_token' && typeof value === 'string' ? toBinary(value) : value;
      await manager.query(`UPDATE ${TABLE} SET ${column} = ? WHERE id = ?`, [
        isJson ? JSON.stringify(value) : stored instanceof Date ? stored.toISOString().slice(0, -1) : stored,
        toBinary(id),
      ]);
    }
  }

  async waiting(count: number): Promise<void> {
    await eventually(async () => expect(await this.database.waitingForLocks()).toBe(count));
  }

  async clear(): Promise<void> {
    await this.dataSource.query(`DELETE FROM ${TABLE}`);
  }
}

/** As the entity names the columns. */
function toEntity(row: OutboxRow): OutboxEvent {
  const entries = Object.entries({ ...row, payload: JSON.parse(row.payload) as unknown });
  return Object.fromEntries(
    entries.map(([column, value]) => [
      column === 'event_key' ? 'key' : column.replaceAll(/_[a-z]/g, (letter) => letter.slice(1).toUpperCase()),
      value as unknown,
    ]),
  ) as unknown as OutboxEvent;
}

/** What an application may make of its columns. */
function shouting(field: { type: string; string(): string | null }, next: () => unknown): unknown {
  return field.type === 'DATETIME' || field.type === 'TINY' ? `${field.string()}!` : next();
}

describe.each([
  ['the usual options', {}],
  [
    'options that change what the driver answers',
    {
      timezone: '+09:00',
      dateStrings: true,
      bigNumberStrings: false,
      supportBigNumbers: false,
      flags: ['-FOUND_ROWS'],
      extra: { typeCast: shouting, namedPlaceholders: true, decimalNumbers: true },
    },
  ],
  ['READ COMMITTED', { isolationLevel: 'READ COMMITTED' }],
])('MysqlOutboxStore with %s', (_name, options) => {
  let database: TestDatabase;
  let harness: MariadbHarness;

  beforeAll(async () => {
    database = await createTestDatabase('mariadb');
    harness = await MariadbHarness.open(database, options);
  });

  afterAll(async () => {
    await harness.dataSource.destroy();
    await database.drop();
  });

  describeOutboxStore(() => harness);
});
