import { INBOX_TABLE } from '../../inbox/inbox.entity';
import { OUTBOX_TABLE } from '../../outbox/outbox.entity';

/** One step of the schema: numbered, forward only, every statement safe to run again. */
export interface SchemaMigration {
  readonly version: number;
  readonly name: string;
  /** The statements; `table` gives a table's name qualified with the schema. */
  statements(table: (name: string) => string): readonly string[];
}

export const SCHEMA_TABLE = 'reliable_mq_schema';

/**
 * Why these settings: rows are updated two or three times and then deleted, so the tables leave room on their pages and are
 * vacuumed after a share of 1 % (PostgreSQL's default is 20 %, far too late for a table of ten million rows).
 */
const STORAGE =
  'fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05';

export const POSTGRES_MIGRATIONS: readonly SchemaMigration[] = [
  {
    version: 1,
    name: 'outbox and inbox',
    statements: (table) => [
      `CREATE TABLE IF NOT EXISTS ${table(OUTBOX_TABLE)} (
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
      `CREATE INDEX IF NOT EXISTS "reliable_mq_outbox_due" ON ${table(OUTBOX_TABLE)} ("status", "due_at") WHERE "due_at" IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_outbox_dead" ON ${table(OUTBOX_TABLE)} ("id") WHERE "status" = 'dead'`,
      `CREATE TABLE IF NOT EXISTS ${table(INBOX_TABLE)} (
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
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_due" ON ${table(INBOX_TABLE)} ("due_at") WHERE "due_at" IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_suspects" ON ${table(INBOX_TABLE)} ("due_at") WHERE "due_at" IS NOT NULL AND "unfinished_starts" >= 2`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_given_up" ON ${table(INBOX_TABLE)} ("received_at") WHERE "status" IN ('rejected', 'dead')`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_ended" ON ${table(INBOX_TABLE)} ("ended_at") WHERE "ended_at" IS NOT NULL`,
    ],
  },
  {
    version: 2,
    name: 'inbox by type, and messages that wait',
    statements: (table) => [
      `ALTER TABLE ${table(INBOX_TABLE)} ADD COLUMN IF NOT EXISTS "body_hash" bytea`,
      `CREATE UNIQUE INDEX IF NOT EXISTS "reliable_mq_inbox_key" ON ${table(INBOX_TABLE)} ("event_id", "consumer", "type")`,
      `ALTER TABLE ${table(INBOX_TABLE)} DROP CONSTRAINT IF EXISTS "reliable_mq_inbox_pkey"`,
      `ALTER TABLE ${table(INBOX_TABLE)} ADD CONSTRAINT "reliable_mq_inbox_pkey" PRIMARY KEY USING INDEX "reliable_mq_inbox_key"`,
      `DROP INDEX IF EXISTS ${table('reliable_mq_inbox_due')}`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_due" ON ${table(INBOX_TABLE)} ("consumer", "type", "due_at") WHERE "due_at" IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS "reliable_mq_inbox_waiting" ON ${table(INBOX_TABLE)} ("consumer", "type", "version") WHERE "status" = 'waiting'`,
    ],
  },
];

/** The version of the schema that this version of the library needs. */
export const SCHEMA_VERSION = POSTGRES_MIGRATIONS.at(-1)?.version ?? 0;

/** A comment, and no `\set`: the script is run by drivers too, which know no commands of psql. */
const PSQL_HINT =
  '-- With psql: -v ON_ERROR_STOP=1, without which it exits 0 although a statement failed and nothing was created.';

/** The whole schema as one idempotent script: what `npx nestjs-reliable-mq schema` prints. */
export function schemaScript(schema?: string): string {
  const table = (name: string): string => (schema ? `"${schema.replaceAll('"', '""')}"."${name}"` : `"${name}"`);
  const statements = POSTGRES_MIGRATIONS.flatMap((migration) => [
    `-- ${migration.version}: ${migration.name}`,
    ...migration.statements(table).map((statement) => `${statement};`),
    `INSERT INTO ${table(SCHEMA_TABLE)} ("version", "name") VALUES (${migration.version}, '${migration.name}') ON CONFLICT DO NOTHING;`,
  ]);
  return [PSQL_HINT, 'BEGIN;', `${schemaTableStatement(table)};`, ...statements, 'COMMIT;', ''].join('\n');
}

export function schemaTableStatement(table: (name: string) => string): string {
  return `CREATE TABLE IF NOT EXISTS ${table(SCHEMA_TABLE)} ("version" integer PRIMARY KEY, "name" text NOT NULL, "applied_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp())`;
}
