import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { PostgresInboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-inbox.store';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { PostgresOutboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-outbox.store';
import { upTo } from './claim-limit';
import { createTestDatabase, type TestDatabase } from '../support/database';

/** In this style PostgreSQL writes CST for China's time and reads it as that of Chicago. */
const STYLE = '-c datestyle=SQL,DMY -c timezone=Asia/Shanghai';

describe(`Where an earlier statement ended, on a connection with ${STYLE}`, () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeEach(async () => {
    database = await createTestDatabase();
    dataSource = new DataSource({ type: 'postgres', url: database.url, extra: { options: STYLE } });
    await dataSource.initialize();
    await migrateSchema(dataSource);
  });

  afterEach(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  it('is where the next claim begins', async () => {
    const outbox = new PostgresOutboxStore(dataSource);
    await dataSource.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at)
       SELECT gen_random_uuid(), 'order.created', 1, '{}', '[]', false, 'pending', 1, now() - n * interval '1 hour' FROM generate_series(1, 3) AS n`,
    );
    const { events, lastDueAt = '' } = await outbox.claim('pending', upTo(2), 60_000, randomUUID());
    expect(events).toHaveLength(2);
    const rest = await outbox.claim('pending', upTo(2), 60_000, randomUUID(), { dueFrom: lastDueAt });
    expect(rest.events).toHaveLength(1);
  });

  it('is where the next pruning of the inbox begins', async () => {
    const inbox = new PostgresInboxStore(dataSource);
    await dataSource.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at)
       SELECT n, 'stock', 'order.created', 1, 'handled', 1, now() - n * interval '3 hours' FROM generate_series(1, 3) AS n`,
    );
    const { count, lastEndedAt } = await inbox.prune(2, 2);
    expect(count).toBe(2);
    await expect(inbox.prune(2, 2, lastEndedAt)).resolves.toMatchObject({ count: 1 });
  });
});
