import type { DataSource, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { sqlState } from './database-errors';
import { buildIndexesOnline, buildingAlone, hasLargeTables } from './migrate-online';
import { buildStatement, indexesOf } from './migrations/build-index';
import { MIGRATIONS, SCHEMA_VERSION, schemaTableStatement } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { queryAlone, queryOn } from './sql';
import { sqlNamesOf } from './sql-names';
import { describeError, SchemaMissingError } from '../../event/errors';
import { maskUri, withoutPassword } from '../../log/mask-uri';

const MIGRATION_CLASSES = new Intl.ListFormat('en').format(
  MIGRATIONS.map(({ version }) => `ReliableMqMigration${version}`),
);
/** Any number that nothing else uses; the lock is held for the length of the migration's transaction. */
const ADVISORY_LOCK = 7_262_318_455_201;
const UNDEFINED_TABLE = '42P01';
const INVALID_SCHEMA_NAME = '3F000';
const INSUFFICIENT_PRIVILEGE = '42501';
const LOCK_NOT_AVAILABLE = '55P03';
const FIRST_LOCK_WAIT_MS = 1000;
const LAST_LOCK_WAIT_MS = 64_000;

/**
 * Bring the tables of this DataSource to the version that the library needs. Several instances may call it at once: an
 * advisory lock lets one work while the others wait, and each migration is applied once.
 * @throws SchemaMissingError when the database refuses, with the reason and what to do about it
 */
export async function migrateSchema(dataSource: DataSource): Promise<void> {
  let version = await appliedVersion(dataSource);
  for (const migration of MIGRATIONS.slice(version)) {
    try {
      await applyAlone(dataSource, migration);
      version = migration.version;
    } catch (error) {
      throw new SchemaMissingError('SCHEMA_MISSING', failedMessage(dataSource, version, error), missing(version), {
        cause: error,
      });
    }
  }
}

/** What was applied stays when a later one fails. */
async function applyAlone(dataSource: DataSource, migration: SchemaMigration): Promise<void> {
  const isLarge = await inMigration(dataSource, async (queryRunner) => {
    if (await isApplied(queryRunner, migration)) return false;
    if (await hasLargeTables(queryRunner, migration)) return true;
    await applyWhole(queryRunner, migration);
    return false;
  });
  if (isLarge) await buildingAlone(dataSource, () => applyOnline(dataSource, migration));
}

async function applyOnline(dataSource: DataSource, migration: SchemaMigration): Promise<void> {
  const isMissing = await inMigration(dataSource, async (queryRunner) => {
    if (await isApplied(queryRunner, migration)) return false;
    await run(queryRunner, migration.up(sqlNamesOf(dataSource)));
    return true;
  });
  if (!isMissing) return;
  const queryRunner = dataSource.createQueryRunner();
  try {
    await buildIndexesOnline(queryRunner, migration);
    await markApplied(queryRunner, migration);
  } finally {
    await queryRunner.release();
  }
}

/**
 * Run it in a transaction that no other migration runs beside. Whoever waits for a table keeps all those waiting that come after: it waits a
 * moment only, and longer each time, because a table that is never free must not keep the application from starting.
 */
async function inMigration<T>(dataSource: DataSource, work: (queryRunner: QueryRunner) => Promise<T>): Promise<T> {
  for (let waitMs = FIRST_LOCK_WAIT_MS; ; waitMs *= 2) {
    const queryRunner = dataSource.createQueryRunner();
    try {
      // Whatever the database's default is: after the lock was waited for, the other instance's work must be seen.
      await queryRunner.startTransaction('READ COMMITTED');
      await queryOn(queryRunner, 'SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
      await queryOn(queryRunner, `SET LOCAL lock_timeout = ${waitMs}`);
      const result = await work(queryRunner);
      await queryRunner.commitTransaction();
      return result;
    } catch (error) {
      if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction().catch(() => undefined);
      if (sqlState(error) !== LOCK_NOT_AVAILABLE || waitMs >= LAST_LOCK_WAIT_MS) throw error;
    } finally {
      await queryRunner.release();
    }
  }
}

/**
 * Apply it unless this database has it already, in the query runner's transaction if it has one.
 * @throws SchemaMissingError when it would keep writers waiting for long: it did nothing then
 */
export async function applyMigration(queryRunner: QueryRunner, migration: SchemaMigration): Promise<void> {
  if (await isApplied(queryRunner, migration)) return;
  if (!(await hasLargeTables(queryRunner, migration))) return applyWhole(queryRunner, migration);
  const dataSource = dataSourceOf(queryRunner);
  const { version, up } = migration;
  if (queryRunner.isTransactionActive) {
    const command = scriptCommand(dataSource, databaseUrl(dataSource));
    throw new SchemaMissingError(
      'SCHEMA_MISSING',
      `ReliableMqMigration${version} builds indexes on tables that are large, which in a transaction would keep every writer waiting; ` +
        "nothing was changed. Run the migrations without one (migrationsTransactionMode: 'none', or `migration:run -t none`), " +
        `or run \`${command}\` first: the migration then finds that it has been applied.`,
      missing(version - 1),
    );
  }
  await run(queryRunner, up(sqlNamesOf(dataSource)));
  await buildIndexesOnline(queryRunner, migration);
  await markApplied(queryRunner, migration);
}

/** With its indexes, in one transaction if there is one. */
async function applyWhole(queryRunner: QueryRunner, migration: SchemaMigration): Promise<void> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  await run(queryRunner, [...migration.up(names), ...indexesOf(migration, names).map(buildStatement)]);
  await markApplied(queryRunner, migration);
}

async function isApplied(queryRunner: QueryRunner, { version }: SchemaMigration): Promise<boolean> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  await queryOn(queryRunner, schemaTableStatement(names));
  return (await queryOn(queryRunner, `SELECT FROM ${names.table('schema')} WHERE version = $1`, [version])).length > 0;
}

async function markApplied(queryRunner: QueryRunner, { version, name }: SchemaMigration): Promise<void> {
  const table = sqlNamesOf(dataSourceOf(queryRunner)).table('schema');
  await queryOn(queryRunner, `INSERT INTO ${table} (version, name) VALUES ($1, $2) ON CONFLICT DO NOTHING`, [
    version,
    name,
  ]);
}

async function run(queryRunner: QueryRunner, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await queryOn(queryRunner, statement);
}

/** Undo it, in the query runner's transaction; with the first one the table goes that says which were applied. */
export async function undoMigration(queryRunner: QueryRunner, { version, down }: SchemaMigration): Promise<void> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  for (const statement of down(names)) await queryOn(queryRunner, statement);
  if (version === 1) await queryOn(queryRunner, `DROP TABLE IF EXISTS ${names.table('schema')}`);
  else await queryOn(queryRunner, `DELETE FROM ${names.table('schema')} WHERE version = $1`, [version]);
}

/**
 * Check that the tables are there and new enough.
 * @throws SchemaMissingError with the command that creates them
 */
export async function verifySchema(dataSource: DataSource): Promise<void> {
  const version = await appliedVersion(dataSource);
  if (version >= SCHEMA_VERSION) return;
  throw new SchemaMissingError('SCHEMA_MISSING', missingMessage(dataSource, version), missing(version));
}

function missing(version: number): Record<string, number> {
  return { version, needed: SCHEMA_VERSION };
}

async function appliedVersion(dataSource: DataSource): Promise<number> {
  try {
    const rows = await queryAlone<{ version: number | null }>(
      dataSource,
      `SELECT max(version) AS version FROM ${sqlNamesOf(dataSource).table('schema')}`,
    );
    return rows[0]?.version ?? 0;
  } catch (error) {
    if (sqlState(error) === UNDEFINED_TABLE) return 0;
    throw error;
  }
}

function missingMessage(dataSource: DataSource, version: number): string {
  return (
    `${stateMessage(dataSource, version)} Create them with \`${scriptCommand(dataSource, databaseUrl(dataSource))}\`, ` +
    `add ${MIGRATION_CLASSES} to your TypeORM migrations, ` +
    "or let the application do it: ReliableMqModule.forRoot({ schema: 'migrate' })."
  );
}

function failedMessage(dataSource: DataSource, version: number, error: unknown): string {
  return `${stateMessage(dataSource, version)} Creating them failed: ${describeError(error)}. ${adviceFor(error, dataSource)}`;
}

function adviceFor(error: unknown, dataSource: DataSource): string {
  const { schema, username } = dataSource.options as ConnectionOptions;
  const url = databaseUrl(dataSource);
  switch (sqlState(error)) {
    case INVALID_SCHEMA_NAME:
      return schema
        ? `Create the schema, which the DataSource names, and start again: CREATE SCHEMA "${schema.replaceAll('"', '""')}".`
        : 'Create a schema of the search_path, or name one that exists in the `schema` of the DataSource, and start again.';
    case INSUFFICIENT_PRIVILEGE: {
      const role = username ?? USER.exec(url)?.[2];
      const command = scriptCommand(dataSource, url.replace(USER, '$1OWNER@'));
      return (
        `Run \`${command}\` with the name of a role that may create tables instead of OWNER, ` +
        `grant SELECT, INSERT, UPDATE and DELETE on the tables to ${role ? `"${role}"` : 'the role of the application'}, and start again.`
      );
    }
    default:
      return `Remove the cause and start again, or create them with \`${scriptCommand(dataSource, url)}\`.`;
  }
}

function stateMessage(dataSource: DataSource, version: number): string {
  const state = version === 0 ? 'are missing' : `are at version ${version}, version ${SCHEMA_VERSION} is needed,`;
  return `The tables of nestjs-reliable-mq ${state} in ${maskUri(databaseUrl(dataSource))}.`;
}

/** psql stops, and exits with 3, at a statement that fails only when it is told so. */
function scriptCommand(dataSource: DataSource, url: string): string {
  const { schema, entityPrefix } = dataSource.options as ConnectionOptions;
  const where = `${schema ? ` --schema ${schema}` : ''}${entityPrefix ? ` --prefix ${entityPrefix}` : ''}`;
  return `npx nestjs-reliable-mq schema${where} | psql -v ON_ERROR_STOP=1 "${withoutPassword(url)}"`;
}

function databaseUrl(dataSource: DataSource): string {
  const { url, host, port, username, database } = dataSource.options as ConnectionOptions;
  return url ?? `postgres://${username ?? 'user'}@${host ?? 'localhost'}:${port ?? 5432}/${database ?? 'database'}`;
}

/** Of a connection URI: what is before the user, and the user, who may be missing, with the password. */
const USER = /^([a-z][\w+.-]*:\/\/)(?:([^\s:/@]*)(?::\S*)?@)?/i;

interface ConnectionOptions {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
  readonly database?: string;
  readonly schema?: string;
  readonly entityPrefix?: string;
}
