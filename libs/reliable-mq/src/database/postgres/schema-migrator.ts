import type { DataSource, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../data-source-of';
import { sqlState } from './database-errors';
import { MIGRATIONS, SCHEMA_VERSION, schemaTableStatement } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { queryAlone, queryOn } from './sql';
import { sqlNamesOf } from './sql-names';
import { describeError, SchemaMissingError } from '../../event/errors';
import { maskUri, withoutPassword } from '../../log/mask-uri';

const MIGRATION_CLASSES = MIGRATIONS.map(({ version }) => `ReliableMqMigration${version}`).join(' and ');
/** Any number that nothing else uses; the lock is held for the length of the migration's transaction. */
const ADVISORY_LOCK = 7_262_318_455_201;
const UNDEFINED_TABLE = '42P01';
const INVALID_SCHEMA_NAME = '3F000';
const INSUFFICIENT_PRIVILEGE = '42501';

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

/** In a transaction of its own, so that what was applied stays when a later one fails. */
async function applyAlone(dataSource: DataSource, migration: SchemaMigration): Promise<void> {
  const queryRunner = dataSource.createQueryRunner();
  try {
    // Whatever the database's default is: after the lock was waited for, the other instance's work must be seen.
    await queryRunner.startTransaction('READ COMMITTED');
    await queryOn(queryRunner, 'SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK]);
    await applyMigration(queryRunner, migration);
    await queryRunner.commitTransaction();
  } catch (error) {
    if (queryRunner.isTransactionActive) await queryRunner.rollbackTransaction().catch(() => undefined);
    throw error;
  } finally {
    await queryRunner.release();
  }
}

/** Apply it unless this database has it already, in the query runner's transaction. */
export async function applyMigration(queryRunner: QueryRunner, { version, name, up }: SchemaMigration): Promise<void> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  await queryOn(queryRunner, schemaTableStatement(names));
  const applied = await queryOn(queryRunner, `SELECT FROM ${names.table('schema')} WHERE version = $1`, [version]);
  if (applied.length > 0) return;
  for (const statement of up(names)) await queryOn(queryRunner, statement);
  await queryOn(queryRunner, `INSERT INTO ${names.table('schema')} (version, name) VALUES ($1, $2)`, [version, name]);
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
