import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { qualifiedTable, queryOn } from './sql';
import { INBOX_TABLE } from '../../inbox/inbox.entity';
import { OUTBOX_TABLE } from '../../outbox/outbox.entity';
import { SCHEMA_TABLE } from './postgres-migrations';
import { applyMigrations } from './schema-migrator';

/**
 * The tables as a TypeORM migration, for applications that run their own migrations (`schema: 'verify'`): add it to the
 * DataSource's `migrations`. It does nothing where the tables are there already.
 */
export class ReliableMqMigration1 implements MigrationInterface {
  readonly name = 'ReliableMqMigration1700000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await applyMigrations(queryRunner, (name) => qualifiedTable(dataSourceOf(queryRunner), name));
  }

  /** Drops the tables, and every event in them. */
  async down(queryRunner: QueryRunner): Promise<void> {
    for (const table of [OUTBOX_TABLE, INBOX_TABLE, SCHEMA_TABLE]) {
      await queryOn(queryRunner, `DROP TABLE IF EXISTS ${qualifiedTable(dataSourceOf(queryRunner), table)}`);
    }
  }
}
