import type { DataSource, QueryRunner } from 'typeorm';
import { sqlState } from '../database/database-errors';
import { qualifiedTable, queryAlone, queryOn } from '../database/sql';
import { SchemaMissingError } from '../domain/errors';
import { maskUri, withoutPassword } from '../domain/mask-uri';
import { POSTGRES_MIGRATIONS, SCHEMA_TABLE, SCHEMA_VERSION, schemaTableStatement } from './postgres-migrations';

/** Any number that nothing else uses; the lock is held for the length of the migration's transaction. */
const ADVISORY_LOCK = 7_262_318_455_201;
const UNDEFINED_TABLE = '42P01';

/**
 * Bring the tables of this DataSource to the version that the library needs. Several instances may call it at once: an
 * advisory lock lets one work while the others wait, and each migration is applied once.
 * @throws SchemaMissingError when the database refuses, with the command that does it by hand
 */
export async function migrateSchema(dataSource: DataSource): Promise<void> {
  if ((await appliedVersion(dataSource)) >= SCHEMA_VERSION) return;
  const queryRunner = dataSource.createQueryRunner();
  try {
    // Whatever the database's default is: after the lock was waited for, the other instance's work must be seen.
    await queryRunner.startTransaction('READ COMMITTED');
    await queryOn(queryRunner, 'SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await applyMigrations(queryRunner, (name) => qualifiedTable(dataSource, name));
    await queryRunner.commitTransaction();
  } catch (error) {
    if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction().catch(() => undefined);
    throw new SchemaMissingError(
      'SCHEMA_MISSING',
      `${missingMessage(dataSource)} Creating them failed.`,
      {},
      { cause: error },
    );
  } finally {
    await queryRunner.release();
  }
}

/** Apply every migration that this database does not have yet, in the query runner's transaction. */
export async function applyMigrations(queryRunner: QueryRunner, table: (name: string) => string): Promise<void> {
  await queryOn(queryRunner, schemaTableStatement(table));
  const applied = await queryOn<{ version: number }>(queryRunner, `SELECT version FROM ${table(SCHEMA_TABLE)}`);
  for (const migration of POSTGRES_MIGRATIONS) {
    if (applied.some((row) => row.version === migration.version)) continue;
    for (const statement of migration.statements(table)) await queryOn(queryRunner, statement);
    await queryOn(queryRunner, `INSERT INTO ${table(SCHEMA_TABLE)} (version, name) VALUES ($1, $2)`, [
      migration.version,
      migration.name,
    ]);
  }
}

/**
 * Check that the tables are there and new enough.
 * @throws SchemaMissingError with the command that creates them
 */
export async function verifySchema(dataSource: DataSource): Promise<void> {
  const version = await appliedVersion(dataSource);
  if (version >= SCHEMA_VERSION) return;
  throw new SchemaMissingError('SCHEMA_MISSING', missingMessage(dataSource, version), {
    version,
    needed: SCHEMA_VERSION,
  });
}

async function appliedVersion(dataSource: DataSource): Promise<number> {
  try {
    const rows = await queryAlone<{ version: number | null }>(
      dataSource,
      `SELECT max(version) AS version FROM ${qualifiedTable(dataSource, SCHEMA_TABLE)}`,
    );
    return rows[0]?.version ?? 0;
  } catch (error) {
    if (sqlState(error) === UNDEFINED_TABLE) return 0;
    throw error;
  }
}

function missingMessage(dataSource: DataSource, version = 0): string {
  const options = dataSource.options as {
    url?: string;
    host?: string;
    port?: number;
    username?: string;
    database?: string;
    schema?: string;
  };
  const url =
    options.url ??
    `postgres://${options.username ?? 'user'}@${options.host ?? 'localhost'}:${options.port ?? 5432}/${options.database ?? 'database'}`;
  const schema = options.schema ? ` --schema ${options.schema}` : '';
  const state = version === 0 ? 'are missing' : `are at version ${version}, version ${SCHEMA_VERSION} is needed`;
  return (
    `The tables of nestjs-reliable-mq ${state} in ${maskUri(url)}. Create them with ` +
    `\`npx nestjs-reliable-mq schema${schema} | psql "${withoutPassword(url)}"\`, add ReliableMqMigration1 to your TypeORM migrations, ` +
    "or let the application do it: ReliableMqModule.forRoot({ schema: 'migrate' })."
  );
}
