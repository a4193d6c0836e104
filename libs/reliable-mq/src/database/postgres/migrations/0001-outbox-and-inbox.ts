import type { SchemaMigration } from './schema-migration';

/**
 * Why these settings: rows are updated two or three times and then deleted, so the tables leave room on their pages and are
 * vacuumed after a share of 1 % (PostgreSQL's default is 20 %, far too late for a table of ten million rows).
 */
const STORAGE =
  'fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05';

export const OUTBOX_AND_INBOX: SchemaMigration = {
  version: 1,
  name: 'outbox and inbox',
  up: (names) => [
    `CREATE TABLE IF NOT EXISTS ${names.outbox} (
  "id" uuid NOT NULL,
  "type" character varying(120) NOT NULL,
  "version" integer NOT NULL,
  "payload" json NOT NULL,
  "headers" jsonb,
  "consumers" jsonb NOT NULL,
  "confirm" boolean NOT NULL,
  "status" character varying(10) NOT NULL,
  "attempts" integer NOT NULL,
  "due_at" TIMESTAMP WITH TIME ZONE,
  "claim_token" uuid,
  "reason" text,
  "history" jsonb NOT NULL DEFAULT '[]',
  "outcomes" jsonb NOT NULL DEFAULT '{}',
  "redrives" integer NOT NULL DEFAULT 0,
  "compensation_attempts" integer NOT NULL DEFAULT 0,
  "created_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
  "published_at" TIMESTAMP WITH TIME ZONE,
  "ended_at" TIMESTAMP WITH TIME ZONE,
  "compensated_at" TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY ("id")
) WITH (${STORAGE})`,
    `CREATE INDEX IF NOT EXISTS ${names.index('outbox', 'due')} ON ${names.outbox} ("status", "due_at") WHERE "due_at" IS NOT NULL`,
    `CREATE INDEX IF NOT EXISTS ${names.index('outbox', 'dead')} ON ${names.outbox} ("id") WHERE "status" = 'dead'`,
    `CREATE TABLE IF NOT EXISTS ${names.inbox} (
  "event_id" character varying(255) NOT NULL,
  "consumer" character varying(100) NOT NULL,
  "type" character varying(255) NOT NULL,
  "version" integer NOT NULL,
  "status" character varying(10) NOT NULL,
  "attempts" integer NOT NULL,
  "unfinished_starts" integer NOT NULL DEFAULT 0,
  "due_at" TIMESTAMP WITH TIME ZONE,
  "claim_token" uuid,
  "reason" text,
  "history" jsonb NOT NULL DEFAULT '[]',
  "body" bytea,
  "properties" jsonb,
  "redrives" integer NOT NULL DEFAULT 0,
  "received_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp(),
  "ended_at" TIMESTAMP WITH TIME ZONE,
  PRIMARY KEY ("event_id", "consumer")
) WITH (${STORAGE})`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'due')} ON ${names.inbox} ("due_at") WHERE "due_at" IS NOT NULL`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'suspects')} ON ${names.inbox} ("due_at") WHERE "due_at" IS NOT NULL AND "unfinished_starts" >= 2`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'given_up')} ON ${names.inbox} ("received_at") WHERE "status" IN ('rejected', 'dead')`,
    `CREATE INDEX IF NOT EXISTS ${names.index('inbox', 'ended')} ON ${names.inbox} ("ended_at") WHERE "ended_at" IS NOT NULL`,
  ],
  down: (names) => [`DROP TABLE IF EXISTS ${names.outbox}`, `DROP TABLE IF EXISTS ${names.inbox}`],
};
