import type { SchemaMigration } from './schema-migration';

/**
 * What people search by, what they have done, and the queues that they have paused. The columns have no defaults, so no row is rewritten,
 * and releases that do not know them go on beside it.
 */
export const KEYS_AND_OPERATIONS: SchemaMigration = {
  version: 3,
  name: 'keys, causation, operations',
  up: (names) => [
    `ALTER TABLE ${names.outbox} ADD COLUMN IF NOT EXISTS "event_key" character varying(200),
  ADD COLUMN IF NOT EXISTS "causation_id" uuid,
  ADD COLUMN IF NOT EXISTS "archived_at" TIMESTAMP WITH TIME ZONE`,
    `ALTER TABLE ${names.inbox} ADD COLUMN IF NOT EXISTS "event_key" character varying(200)`,
    `CREATE TABLE IF NOT EXISTS ${names.table('audit')} (
  "id" uuid PRIMARY KEY,
  "run_id" uuid NOT NULL,
  "at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
  "operation" character varying(20) NOT NULL,
  "done_by" character varying(200) NOT NULL,
  "why" text,
  "filter" jsonb,
  "items" jsonb NOT NULL,
  "count" integer NOT NULL
)`,
    `CREATE TABLE IF NOT EXISTS ${names.table('paused')} (
  "consumer" character varying(100) NOT NULL,
  "type" character varying(255) NOT NULL,
  "since" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
  "done_by" character varying(200) NOT NULL,
  "why" text,
  PRIMARY KEY ("consumer", "type")
)`,
  ],
  indexes: (names) => [
    {
      name: names.index('outbox', 'event_key'),
      table: names.outbox,
      on: '("event_key", "id") WHERE "event_key" IS NOT NULL',
    },
    {
      name: names.index('outbox', 'causation'),
      table: names.outbox,
      on: '("causation_id", "id") WHERE "causation_id" IS NOT NULL',
    },
    {
      name: names.index('outbox', 'person'),
      table: names.outbox,
      on: `("id") WHERE "status" = 'dead' AND "due_at" IS NULL AND "compensated_at" IS NULL AND "archived_at" IS NULL`,
    },
    {
      name: names.index('inbox', 'event_key'),
      table: names.inbox,
      on: '("event_key", "received_at") WHERE "event_key" IS NOT NULL',
    },
  ],
  down: (names) => [
    `DROP TABLE IF EXISTS ${names.table('audit')}, ${names.table('paused')}`,
    // Their indexes go with them.
    `ALTER TABLE ${names.outbox} DROP COLUMN "event_key", DROP COLUMN "causation_id", DROP COLUMN "archived_at"`,
    `ALTER TABLE ${names.inbox} DROP COLUMN "event_key"`,
  ],
};
