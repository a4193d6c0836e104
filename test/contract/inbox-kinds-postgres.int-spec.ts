import { DataSource } from 'typeorm';
import { PostgresOperationsStore } from '../../libs/reliable-mq/src/database/postgres/postgres-operations.store';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { createTestDatabase, type TestDatabase } from '../support/database';

describe('the kinds of handlings that the inbox has', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    await migrateSchema(dataSource);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  /** @param dueInSeconds null: it has ended */
  async function keep(consumer: string, type: string, status: string, dueInSeconds: number | null): Promise<void> {
    await dataSource.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, due_at, ended_at)
       VALUES (gen_random_uuid()::text, $1, $2, 1, $3, 1, now() + $4 * interval '1 second', CASE WHEN $4 IS NULL THEN now() END)`,
      [consumer, type, status, dueInSeconds],
    );
  }

  it('are each consumer and type once, with what is unfinished, and for how long it has been due', async () => {
    const operations = new PostgresOperationsStore(dataSource);
    await expect(operations.inboxKinds()).resolves.toEqual([]);
    await keep('stock', 'order.created', 'failed', -60);
    await keep('stock', 'order.created', 'waiting', 60);
    await keep('stock', 'order.created', 'handled', null);
    await keep('stock', 'order.moved', 'failed', 60);
    await keep('stock.audit', 'order.created', 'dead', null);
    const kinds = await operations.inboxKinds();
    expect(kinds.map(({ consumer, type, unfinished }) => [consumer, type, unfinished])).toEqual([
      ['stock', 'order.created', 2],
      ['stock', 'order.moved', 1],
      ['stock.audit', 'order.created', 0],
    ]);
    const [overdue, ahead, ended] = kinds.map(({ overdueMs }) => overdueMs);
    expect(overdue).toBeGreaterThanOrEqual(60_000);
    expect(ahead).toBeLessThan(0);
    expect(ended).toBe(0);
  });
});
