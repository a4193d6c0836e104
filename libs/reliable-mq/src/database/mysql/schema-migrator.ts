import { createHash } from 'node:crypto';
import type { DataSource, QueryRunner } from 'typeorm';
import { acquireQueryRunner, STATEMENT_DEADLINE_MS } from '../acquire-query-runner';
import { describeError, SchemaMissingError } from '../../event/errors';
import { dataSourceOf } from '../data-source-of';
import { maskUri } from '../../log/mask-uri';
import { destroyConnection } from './connection';
import { ErrorNumber, errorNumber } from './database-errors';
import { appliedStatement, MIGRATIONS, SCHEMA_VERSION, schemaTableStatement } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { serverOf } from './server';
import { queryAlone, queryOn, writeOn } from './sql';
import { type SqlNames, sqlNamesOf } from './sql-names';

const MIGRATION_CLASSES = `ReliableMqMigration1 to ReliableMqMigration${SCHEMA_VERSION}`;
/** Another instance's migration takes as long as its statements do. */
const LOCK_WAIT_SECONDS = 3600;
const ACCESS_DENIED: readonly (number | undefined)[] = [
  ErrorNumber.TABLE_ACCESS_DENIED,
  ErrorNumber.DATABASE_ACCESS_DENIED,
  ErrorNumber.SPECIFIC_ACCESS_DENIED,
];

/**
 * Bring the tables of this DataSource to the version that the library needs. Several instances may call it at once: a named lock of the
 * server lets one work while the others wait. What was interrupted goes on where it stopped: each statement commits by itself, and does
 * nothing where it was run before.
 * @throws SchemaMissingError when the database refuses, with the reason and what to do about it
 */
export async function migrateSchema(dataSource: DataSource): Promise<void> {
  let version = await appliedVersion(dataSource);
  if (version >= SCHEMA_VERSION) return;
  const queryRunner = await acquireQueryRunner(dataSource, STATEMENT_DEADLINE_MS);
  try {
    const lock = lockNameOf(sqlNamesOf(dataSource));
    await queryOn(queryRunner, 'SELECT GET_LOCK(?, ?) AS taken', [lock, LOCK_WAIT_SECONDS]);
    for (const migration of MIGRATIONS) {
      await applyMigration(queryRunner, migration);
      version = migration.version;
    }
    await queryOn(queryRunner, 'SELECT RELEASE_LOCK(?) AS released', [lock]);
  } catch (error) {
    // The lock is the session's, and ends with it.
    await destroyConnection(queryRunner);
    throw new SchemaMissingError('SCHEMA_MISSING', failedMessage(dataSource, version, error), missing(version), {
      cause: error,
    });
  } finally {
    await queryRunner.release();
  }
}

/** Apply it unless this database has it already. */
export async function applyMigration(queryRunner: QueryRunner, migration: SchemaMigration): Promise<void> {
  const dataSource = dataSourceOf(queryRunner);
  const names = sqlNamesOf(dataSource);
  const { kind } = serverOf(dataSource);
  await writeOn(queryRunner, schemaTableStatement(names, kind));
  const sql = `SELECT version FROM ${names.table('schema')} WHERE version = ?`;
  if ((await queryOn(queryRunner, sql, [migration.version])).length > 0) return;
  for (const statement of migration.up(names, kind)) await writeOn(queryRunner, statement);
  await writeOn(queryRunner, appliedStatement(names, migration));
}

/** Undo it; with the first one the table goes that says which were applied. */
export async function undoMigration(queryRunner: QueryRunner, { version, down }: SchemaMigration): Promise<void> {
  const names = sqlNamesOf(dataSourceOf(queryRunner));
  for (const statement of down(names)) await writeOn(queryRunner, statement);
  if (version === MIGRATIONS[0].version) await writeOn(queryRunner, `DROP TABLE IF EXISTS ${names.table('schema')}`);
  else await writeOn(queryRunner, `DELETE FROM ${names.table('schema')} WHERE version = ?`, [version]);
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

/** At most 64 characters, of all databases of the server. */
function lockNameOf(names: SqlNames): string {
  return `reliable_mq_${createHash('sha256').update(names.outbox).digest('hex').slice(0, 24)}`;
}

function missing(version: number): Record<string, number> {
  return { version, needed: SCHEMA_VERSION };
}

async function appliedVersion(dataSource: DataSource): Promise<number> {
  try {
    const rows = await queryAlone<{ version: string | null }>(
      dataSource,
      `SELECT MAX(version) AS version FROM ${sqlNamesOf(dataSource).table('schema')}`,
    );
    return Number(rows[0]?.version ?? 0);
  } catch (error) {
    if (errorNumber(error) === ErrorNumber.NO_SUCH_TABLE) return 0;
    throw error;
  }
}

function missingMessage(dataSource: DataSource, version: number): string {
  return (
    `${stateMessage(dataSource, version)} Create them with \`${scriptCommand(dataSource)}\`, ` +
    `add ${MIGRATION_CLASSES} to your TypeORM migrations, ` +
    "or let the application do it: ReliableMqModule.forRoot({ schema: 'migrate' })."
  );
}

function failedMessage(dataSource: DataSource, version: number, error: unknown): string {
  return `${stateMessage(dataSource, version)} Creating them failed: ${describeError(error)}. ${adviceFor(error, dataSource)}`;
}

function adviceFor(error: unknown, dataSource: DataSource): string {
  if (!ACCESS_DENIED.includes(errorNumber(error))) {
    return `Remove the cause and start again, or create them with \`${scriptCommand(dataSource)}\`.`;
  }
  return (
    `Run \`${scriptCommand(dataSource, 'OWNER')}\` with the name of a user that may create tables instead of OWNER, ` +
    `grant SELECT, INSERT, UPDATE and DELETE on the tables to ${userOf(dataSource) ?? 'the user of the application'}, and start again.`
  );
}

function stateMessage(dataSource: DataSource, version: number): string {
  const state = version === 0 ? 'are missing' : `are at version ${version}, version ${SCHEMA_VERSION} is needed,`;
  return `The tables of nestjs-reliable-mq ${state} in ${maskUri(databaseUrl(dataSource))}.`;
}

/** The client asks for the password. */
function scriptCommand(dataSource: DataSource, user = userOf(dataSource) ?? 'USER'): string {
  const { kind } = serverOf(dataSource);
  const { entityPrefix } = dataSource.options;
  const { host, port, database } = addressOf(dataSource);
  const prefix = entityPrefix ? ` --prefix ${entityPrefix}` : '';
  return `npx nestjs-reliable-mq schema --database ${kind}${prefix} | ${kind} -h ${host} -P ${port} -u ${user} -p ${database}`;
}

function databaseUrl(dataSource: DataSource): string {
  const { host, port, database } = addressOf(dataSource);
  return `${serverOf(dataSource).kind}://${userOf(dataSource) ?? 'user'}@${host}:${port}/${database}`;
}

interface Address {
  readonly host: string;
  readonly port: number;
  readonly database: string;
}

function addressOf(dataSource: DataSource): Address {
  const { url, host, port } = dataSource.options as ConnectionOptions;
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined;
  return {
    host: parsed?.hostname ?? host ?? 'localhost',
    port: Number(parsed?.port || (port ?? 3306)),
    database: sqlNamesOf(dataSource).database ?? 'DATABASE',
  };
}

function userOf(dataSource: DataSource): string | undefined {
  const { url, username } = dataSource.options as ConnectionOptions;
  const parsed = url !== undefined && URL.canParse(url) ? decodeURIComponent(new URL(url).username) : undefined;
  return parsed || username;
}

interface ConnectionOptions {
  readonly url?: string;
  readonly host?: string;
  readonly port?: number;
  readonly username?: string;
}
