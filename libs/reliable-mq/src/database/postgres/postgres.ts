import type { DatabaseKind } from '../database-kind';
import { MIGRATIONS } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { PostgresDatabase } from './postgres-database';
import { PostgresInboxStore } from './postgres-inbox.store';
import { PostgresOperationsStore } from './postgres-operations.store';
import { PostgresOutboxStore } from './postgres-outbox.store';
import { applyMigration, undoMigration } from './schema-migrator';
import { schemaScript } from './schema-script';

/** PostgreSQL 13 and later, by `pg`. */
export const POSTGRES: DatabaseKind = {
  name: 'postgres',
  drivers: ['postgres'],
  open: (dataSource, name) => {
    const database = new PostgresDatabase(dataSource, name);
    return {
      database,
      outbox: new PostgresOutboxStore(dataSource, () => database.suspectTables()),
      inbox: new PostgresInboxStore(dataSource),
      operations: new PostgresOperationsStore(dataSource),
    };
  },
  schemaScript,
  applyMigration: (queryRunner, version) => applyMigration(queryRunner, migrationOf(version)),
  undoMigration: (queryRunner, version) => undoMigration(queryRunner, migrationOf(version)),
};

function migrationOf(version: number): SchemaMigration {
  const migration = MIGRATIONS.find((each) => each.version === version);
  if (!migration) throw new Error(`PostgreSQL has no migration ${version}`);
  return migration;
}
