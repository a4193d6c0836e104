import type { MigrationInterface, QueryRunner } from 'typeorm';
import { IDENTITY_AND_OWNERS } from './migrations/0002-identity-and-owners';
import { KEYS_AND_OPERATIONS } from './migrations/0003-keys-and-operations';
import { OUTBOX_AND_INBOX } from './migrations/0001-outbox-and-inbox';
import type { SchemaMigration } from './migrations/schema-migration';
import { applyMigration, undoMigration } from './schema-migrator';

/**
 * The tables as TypeORM migrations, for applications that run their own (`schema: 'verify'`): add each of them to the DataSource's
 * `migrations`, as many as there are. One applies its own version only, and nothing where that has been applied in another way.
 * Run without a transaction (`migrationsTransactionMode: 'none'`), the third one builds its indexes beside the application that runs; in one it
 * refuses to lock tables that are large. `down` drops what `up` has made, and every event in it.
 */
abstract class ReliableMqMigration implements MigrationInterface {
  readonly name: string;

  protected constructor(private readonly migration: SchemaMigration) {
    // TypeORM reads the order of migrations from the number at the end of their names.
    this.name = `ReliableMqMigration${1_700_000_000_000 + migration.version}`;
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    await applyMigration(queryRunner, this.migration);
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await undoMigration(queryRunner, this.migration);
  }
}

/** The outbox and the inbox. */
export class ReliableMqMigration1 extends ReliableMqMigration {
  constructor() {
    super(OUTBOX_AND_INBOX);
  }
}

/** What tells messages of one id apart, and which service the outbox and the inbox belong to. */
export class ReliableMqMigration2 extends ReliableMqMigration {
  constructor() {
    super(IDENTITY_AND_OWNERS);
  }
}

/** What people search by, what they have done, and the queues that they have paused. */
export class ReliableMqMigration3 extends ReliableMqMigration {
  constructor() {
    super(KEYS_AND_OPERATIONS);
  }
}
