import type { Server } from '../server';
import type { SqlNames } from '../sql-names';
import { TABLES } from './0003-tables';
import { type SchemaMigration, tableOptions } from './schema-migration';

/** In their order; a new one is added at the end. */
export const MIGRATIONS: readonly [SchemaMigration, ...SchemaMigration[]] = [TABLES];

/** The version of the schema that this version of the library needs. */
export const SCHEMA_VERSION = Math.max(...MIGRATIONS.map(({ version }) => version));

/** The table that says which migrations a database has had. */
export function schemaTableStatement(names: SqlNames, kind: Server['kind']): string {
  return (
    `CREATE TABLE IF NOT EXISTS ${names.table('schema')} (\`version\` INT NOT NULL, \`name\` VARCHAR(200) NOT NULL, ` +
    `\`applied_at\` DATETIME(6) NOT NULL, PRIMARY KEY (\`version\`)) ${tableOptions(kind)}`
  );
}

/** Says that a migration has been applied. @returns SQL whose values are in it */
export function appliedStatement(names: SqlNames, { version, name }: SchemaMigration): string {
  return `INSERT IGNORE INTO ${names.table('schema')} (version, name, applied_at) VALUES (${version}, '${name}', UTC_TIMESTAMP(6))`;
}
