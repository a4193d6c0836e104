import { randomUUID } from 'node:crypto';
import { DataSource, type QueryRunner } from 'typeorm';
import { PostgresInboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-inbox.store';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { PostgresOutboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-outbox.store';
import { upTo } from './claim-limit';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { ExplainedStatements } from '../support/explained-statements';

const ROWS = 20_000;

describe('Beside a transaction that stays open, so that nothing dead may be vacuumed', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let holder: QueryRunner;
  let explained: ExplainedStatements;

  beforeEach(async () => {
    database = await createTestDatabase();
    dataSource = new DataSource({ type: 'postgres', url: database.url });
    await dataSource.initialize();
    await migrateSchema(dataSource);
    holder = dataSource.createQueryRunner();
    await holder.startTransaction('REPEATABLE READ');
    await holder.query('SELECT 1');
    explained = new ExplainedStatements(dataSource);
  });

  afterEach(async () => {
    await holder.rollbackTransaction();
    await holder.release();
    await dataSource.destroy();
    await database.drop();
  });

  /** Of statements that are run for the second time: what is dead to all is marked as such by the first one that walks it. */
  async function pagesRead(call: () => Promise<unknown>): Promise<number> {
    const plans = await explained.plansOf(call, 'ANALYZE, BUFFERS, FORMAT JSON');
    return plans.reduce((sum, plan) => sum + (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0), 0);
  }

  async function fillOutbox(): Promise<void> {
    await dataSource.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at)
       SELECT (lpad(to_hex((extract(epoch FROM now() - interval '5 hours') * 1000)::bigint + n), 12, '0') || '7' || substr(md5(random()::text), 1, 19))::uuid,
         'order.created', 1, '{}', '[]', false, 'pending', 1, now() - interval '4 hours' + n * interval '1 millisecond'
       FROM generate_series(1, ${ROWS}) AS n`,
    );
    await dataSource.query('ANALYZE reliable_mq_outbox');
  }

  it('a claim that looks at its range does not walk what was claimed before', async () => {
    const outbox = new PostgresOutboxStore(dataSource);
    await fillOutbox();
    await outbox.claim('pending', upTo(ROWS), 60_000, randomUUID());
    const whole = await pagesRead(() => outbox.claim('pending', upTo(500), 60_000, randomUUID()));
    const near = await pagesRead(() =>
      outbox.claim('pending', upTo(500), 60_000, randomUUID(), { dueWithinMs: 60_000 }),
    );
    expect(whole).toBeGreaterThan(ROWS / 100);
    expect(near).toBeLessThan(whole / 10);
  });

  it('pruning the outbox from where it ended does not walk what it has deleted', async () => {
    const outbox = new PostgresOutboxStore(dataSource);
    await fillOutbox();
    await dataSource.query(
      `UPDATE reliable_mq_outbox SET status = 'published', due_at = NULL, ended_at = now() - interval '3 hours'`,
    );
    await dataSource.query('ANALYZE reliable_mq_outbox');
    const deleted = await outbox.prune(2, ROWS);
    expect(deleted).toHaveLength(ROWS);
    const whole = await pagesRead(() => outbox.prune(2, 1000));
    const further = await pagesRead(() => outbox.prune(2, 1000, deleted.at(-1)));
    expect(whole).toBeGreaterThan(ROWS / 100);
    expect(further).toBeLessThan(whole / 10);
  });

  it('pruning the inbox from where it ended does not walk what it has deleted', async () => {
    const inbox = new PostgresInboxStore(dataSource);
    await dataSource.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at)
       SELECT gen_random_uuid(), 'stock', 'order.created', 1, 'handled', 1, now() - interval '3 hours' + n * interval '1 millisecond'
       FROM generate_series(1, ${ROWS}) AS n`,
    );
    await dataSource.query('ANALYZE reliable_mq_inbox');
    const { count, lastEndedAt } = await inbox.prune(2, ROWS);
    expect(count).toBe(ROWS);
    const whole = await pagesRead(() => inbox.prune(2, 1000));
    const further = await pagesRead(() => inbox.prune(2, 1000, lastEndedAt));
    expect(whole).toBeGreaterThan(ROWS / 100);
    expect(further).toBeLessThan(whole / 10);
  });
});
