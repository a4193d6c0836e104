import type { SchemaMigration } from './schema-migration';

/** One handling is an id, a consumer and a type; messages may wait for a release; the outbox and the inbox belong to a service. */
export const IDENTITY_AND_OWNERS: SchemaMigration = {
  version: 2,
  name: 'inbox by type, messages that wait, owners',
  up: (names) => [
    `ALTER TABLE ${names.inbox} ADD COLUMN IF NOT EXISTS "body_hash" bytea`,
    `CREATE UNIQUE INDEX IF NOT EXISTS ${names.index('inbox', 'key')} ON ${names.inbox} ("event_id", "consumer", "type")`,
    `ALTER TABLE ${names.inbox} DROP CONSTRAINT IF EXISTS ${names.index('inbox', 'pkey')}`,
    `ALTER TABLE ${names.inbox} ADD CONSTRAINT ${names.index('inbox', 'pkey')} PRIMARY KEY USING INDEX ${names.index('inbox', 'key')}`,
    `DROP INDEX IF EXISTS ${names.inSchema(names.index('inbox', 'due'))}`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'due')} ON ${names.inbox} ("consumer", "type", "due_at") WHERE "due_at" IS NOT NULL`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'waiting')} ON ${names.inbox} ("consumer", "type", "version") WHERE "status" = 'waiting'`,
    `CREATE TABLE IF NOT EXISTS ${names.table('owner')} (
  "part" character varying(10) PRIMARY KEY,
  "service" character varying(100) NOT NULL,
  "since" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp()
)`,
  ],
  down: (names) => [
    `DROP TABLE IF EXISTS ${names.table('owner')}`,
    `DROP INDEX IF EXISTS ${names.inSchema(names.index('inbox', 'waiting'))}`,
    `DROP INDEX IF EXISTS ${names.inSchema(names.index('inbox', 'due'))}`,
    `CREATE INDEX ${names.index('inbox', 'due')} ON ${names.inbox} ("due_at") WHERE "due_at" IS NOT NULL`,
    `UPDATE ${names.inbox} SET "status" = 'failed' WHERE "status" = 'waiting'`,
    // Of the messages of one id, the older key has room for one.
    `DELETE FROM ${names.inbox} AS i USING ${names.inbox} AS o
       WHERE o."event_id" = i."event_id" AND o."consumer" = i."consumer" AND o."type" < i."type"`,
    `ALTER TABLE ${names.inbox} DROP CONSTRAINT ${names.index('inbox', 'pkey')}, ADD PRIMARY KEY ("event_id", "consumer"), DROP COLUMN "body_hash"`,
  ],
};
