import type { MigrationInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from './data-source-of';
import type { DatabaseKind } from './database-kind';
import { databaseFor } from './databases';

/**
 * The tables as TypeORM migrations, for applications that run their own (`schema: 'verify'`): add each of them to the DataSource's
 * `migrations`, as many as there are. One applies its own version only, and nothing where that has been applied in another way, or the
 * database has begun with a later one.
 * Run without a transaction (`migrationsTransactionMode: 'none'`), the third one builds its indexes beside the application that runs; in one it
 * refuses to lock tables that are large. `down` drops what `up` has made, and every event in it.
 */
abstract class ReliableMqMigration implements MigrationInterface {
  readonly name: string;

  protected constructor(private readonly version: number) {
    // TypeORM reads the order of migrations from the number at the end of their names.
    this.name = `ReliableMqMigration${1_700_000_000_000 + version}`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    await kindOf(queryRunner).applyMigration(queryRunner, this.version);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await kindOf(queryRunner).undoMigration(queryRunner, this.version);
  }
}

function kindOf(queryRunner: QueryRunner): DatabaseKind {
  return databaseFor(dataSourceOf(queryRunner).options.type, 'default');
}

/** The outbox and the inbox. */
export class ReliableMqMigration1 extends ReliableMqMigration {
  constructor() {
    super(1);
  }
}

/** What tells messages of one id apart, and which service the outbox and the inbox belong to. */
export class ReliableMqMigration2 extends ReliableMqMigration {
  constructor() {
    super(2);
  }
}

/** What people search by, what they have done, and the queues that they have paused. On MySQL and MariaDB all tables. */
export class ReliableMqMigration3 extends ReliableMqMigration {
  constructor() {
    super(3);
  }
}
