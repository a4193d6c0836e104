import type { SqlNames } from '../sql-names';
import { OUTBOX_AND_INBOX } from './0001-outbox-and-inbox';
import { IDENTITY_AND_OWNERS } from './0002-identity-and-owners';
import { KEYS_AND_OPERATIONS } from './0003-keys-and-operations';
import type { SchemaMigration } from './schema-migration';

/** In their order; a new one is added at the end, and its class to ../../typeorm-migrations.ts. */
export const MIGRATIONS: readonly SchemaMigration[] = [OUTBOX_AND_INBOX, IDENTITY_AND_OWNERS, KEYS_AND_OPERATIONS];

/** The version of the schema that this version of the library needs. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** The table that says which migrations a database has had. */
export function schemaTableStatement(names: SqlNames): string {
  return `CREATE TABLE IF NOT EXISTS ${names.table('schema')} ("version" integer PRIMARY KEY, "name" text NOT NULL, "applied_at" TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT clock_timestamp())`;
}
