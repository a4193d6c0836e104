import { DataSource, type EntityManager } from 'typeorm';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { OutboxEvent } from '../../libs/reliable-mq/src/outbox/outbox.entity';
import { PostgresOutboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-outbox.store';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';
import { describeOutboxStore } from './outbox-store.contract';
import type { OutboxHarness } from './outbox-store/outbox-fixture';

class PostgresHarness implements OutboxHarness {
  readonly store: PostgresOutboxStore;

  private constructor(
    readonly dataSource: DataSource,
    private readonly table: string,
  ) {
    this.store = new PostgresOutboxStore(dataSource);
  }

  static async open(url: string, schema?: string): Promise<PostgresHarness> {
    const dataSource = new DataSource({
      type: 'postgres',
      url,
      entities: [OutboxEvent],
      poolSize: 16,
      ...(schema === undefined ? {} : { schema }),
    });
    await dataSource.initialize();
    if (schema !== undefined) await dataSource.query(`CREATE SCHEMA "${schema}"`);
    await migrateSchema(dataSource);
    return new PostgresHarness(dataSource, `"${schema ?? 'public'}"."reliable_mq_outbox"`);
  }

  transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.dataSource.transaction(work);
  }

  find(id: string): Promise<OutboxEvent | null> {
    return this.dataSource.getRepository(OutboxEvent).findOneBy({ id });
  }

  async setDueIn(ids: readonly string[], ms: number): Promise<void> {
    await this.dataSource.query(
      `UPDATE ${this.table} SET due_at = clock_timestamp() + $2::float8 * interval '1 millisecond' WHERE id = ANY($1::uuid[])`,
      [ids, ms],
    );
  }

  async setEndedAgo(ids: readonly string[], hours: number): Promise<void> {
    await this.dataSource.query(
      `UPDATE ${this.table} SET ended_at = clock_timestamp() - $2::float8 * interval '1 hour' WHERE id = ANY($1::uuid[])`,
      [ids, hours],
    );
  }

  async holding(ids: readonly string[], work: (manager: EntityManager) => Promise<void>): Promise<void> {
    await this.transaction(async (manager) => {
      await manager.query(`SELECT 1 FROM ${this.table} WHERE id = ANY($1::uuid[]) FOR UPDATE`, [ids]);
      await work(manager);
    });
  }

  async overwrite(manager: EntityManager, id: string, values: Partial<OutboxEvent>): Promise<void> {
    await manager.update(OutboxEvent, { id }, values as object);
  }

  async waiting(count: number): Promise<void> {
    await eventually(async () => {
      const [found] = await this.dataSource.query<{ count: number }[]>(
        `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(found?.count).toBe(count);
    });
  }

  async clear(): Promise<void> {
    await this.dataSource.query(`TRUNCATE ${this.table}`);
  }
}

describe.each([
  ['the default schema', undefined],
  ['a schema of its own', 'events'],
])('PostgresOutboxStore in %s', (_name, schema) => {
  let database: TestDatabase;
  let harness: PostgresHarness;

  beforeAll(async () => {
    database = await createTestDatabase();
    harness = await PostgresHarness.open(database.url, schema);
  });

  afterAll(async () => {
    await harness.dataSource.destroy();
    await database.drop();
  });

  describeOutboxStore(() => harness);
});
