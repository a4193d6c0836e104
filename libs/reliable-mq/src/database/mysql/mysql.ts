import type { QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import type { DatabaseKind } from '../database-kind';
import { MIGRATIONS } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { MysqlDatabase } from './mysql-database';
import { MysqlInboxStore } from './mysql-inbox.store';
import { MysqlOperationsStore } from './mysql-operations.store';
import { MysqlOutboxStore } from './mysql-outbox.store';
import { applyMigration, undoMigration } from './schema-migrator';
import { schemaScript } from './schema-script';
import { learnAboutServer } from './server';

/** MySQL 8.0.17 and later, and MariaDB 10.6 and later, by `mysql2`. Which of the two answers is found at boot, whatever `type` says. */
function kindOf(name: 'mysql' | 'mariadb'): DatabaseKind {
  return {
    name,
    drivers: [name],
    open: (dataSource, dataSourceName) => {
      const database = new MysqlDatabase(name, dataSource, dataSourceName);
      return {
        database,
        outbox: new MysqlOutboxStore(dataSource, () => database.suspectTables()),
        inbox: new MysqlInboxStore(dataSource),
        operations: new MysqlOperationsStore(dataSource),
      };
    },
    schemaScript: (schema, prefix) => schemaScript(name, schema, prefix),
    applyMigration: (queryRunner, version) => withMigration(queryRunner, version, applyMigration),
    undoMigration: (queryRunner, version) => withMigration(queryRunner, version, undoMigration),
  };
}

/** TypeORM may run migrations where this library has not been started. Nothing was made by versions before the first one. */
async function withMigration(
  queryRunner: QueryRunner,
  version: number,
  work: (queryRunner: QueryRunner, migration: SchemaMigration) => Promise<void>,
): Promise<void> {
  const migration = MIGRATIONS.find((each) => each.version === version);
  if (!migration) return;
  await learnAboutServer(dataSourceOf(queryRunner), 'default');
  await work(queryRunner, migration);
}

export const MYSQL = kindOf('mysql');
export const MARIADB = kindOf('mariadb');
