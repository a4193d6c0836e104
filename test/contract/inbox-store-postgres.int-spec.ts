import { DataSource } from 'typeorm';
import { sqlNamesOf } from '../../libs/reliable-mq/src/database/postgres/sql-names';
import { PostgresInboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-inbox.store';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import { createTestDatabase } from '../support/database';
import { describeInboxStore } from './inbox-store.contract';
import type { InboxHarness, StoredRow } from './inbox-store/inbox-fixture';

async function createHarness(schema: string | undefined): Promise<InboxHarness> {
  const database = await createTestDatabase();
  const plain = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  if (schema) await plain.query(`CREATE SCHEMA "${schema.replaceAll('"', '""')}"`);
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, schema, poolSize: 12 }).initialize();
  await migrateSchema(dataSource);
  const table = sqlNamesOf(dataSource).inbox;
  return {
    dataSource,
    store: new PostgresInboxStore(dataSource),
    row: async ({ eventId, consumer, type }) => {
      const [row] = await plain.query<StoredRow[]>(
        `SELECT *, (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS due_in_ms
         FROM ${table} WHERE event_id = $1 AND consumer = $2 AND type = $3`,
        [eventId, consumer, type],
      );
      return row;
    },
    age: async ({ eventId, consumer, type }, byMs) => {
      await plain.query(
        `UPDATE ${table} SET due_at = due_at - $4 * interval '1 ms', ended_at = ended_at - $4 * interval '1 ms'
         WHERE event_id = $1 AND consumer = $2 AND type = $3`,
        [eventId, consumer, type, byMs],
      );
    },
    waitingForLocks: async () => {
      const [found] = await plain.query<[{ count: number }]>(
        `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return found.count;
    },
    passed: (ms) => database.passed(ms),
    clear: async () => {
      await plain.query(`DELETE FROM ${table}`);
    },
    dispose: async () => {
      await dataSource.destroy();
      await plain.destroy();
      await database.drop();
    },
  };
}

describeInboxStore('PostgreSQL', () => createHarness(undefined));
describeInboxStore('PostgreSQL, in a schema of its own', () => createHarness('order "service"'));
