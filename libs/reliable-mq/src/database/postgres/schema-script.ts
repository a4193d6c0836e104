import { buildOnlineStatements, buildStatement, indexesOf } from './migrations/build-index';
import { MIGRATIONS, schemaTableStatement } from './migrations/migrations';
import type { SchemaMigration } from './migrations/schema-migration';
import { namesWithPrefix } from '../table-names';
import { SqlNames } from './sql-names';

/** A comment, and no `\set`: the script is run by drivers too, which know no commands of psql. */
const PSQL_HINT =
  '-- With psql: -v ON_ERROR_STOP=1, without which it exits 0 although a statement failed and nothing was created.';

const QUOTE = '$reliable_mq$';

const ONLINE_HINT =
  '-- Indexes of tables that may be large are built last, each by itself and beside the application that runs. Run it again when it was interrupted.';

/**
 * All tables as one idempotent script, for the schema, or the first one of the connection's `search_path`.
 * @param online indexes of tables that may be large are built behind the transaction, as `psql` can: statement by statement. Otherwise all is
 *   one transaction
 */
export function schemaScript(schema: string | undefined, prefix: string, online: boolean): string {
  const names = new SqlNames(namesWithPrefix(prefix), schema);
  const steps = MIGRATIONS.map((migration) => ({ migration, isOnline: online && migration.indexes !== undefined }));
  const onlineSteps = steps.filter(({ isOnline }) => isOnline);
  return [
    PSQL_HINT,
    ...(onlineSteps.length > 0 ? [ONLINE_HINT] : []),
    'BEGIN;',
    `${schemaTableStatement(names)};`,
    ...steps.flatMap(({ migration, isOnline }) => inTransaction(migration, names, isOnline)),
    'COMMIT;',
    ...onlineSteps.flatMap(({ migration }) => behindTransaction(migration, names)),
    '',
  ].join('\n');
}

/** Only where it is missing: one that has been run may take long, or locks, to end where it began. */
function inTransaction(migration: SchemaMigration, names: SqlNames, isOnline: boolean): readonly string[] {
  const { version, name, up } = migration;
  const ends = isOnline ? [] : [...indexesOf(migration, names).map(buildStatement), appliedStatement(migration, names)];
  return [
    `-- ${version}: ${name}`,
    `DO ${QUOTE} BEGIN IF NOT EXISTS (SELECT FROM ${names.table('schema')} WHERE "version" = ${version}) THEN`,
    ...[...up(names), ...ends].map((statement) => `${statement};`),
    `END IF; END ${QUOTE};`,
  ];
}

function behindTransaction(migration: SchemaMigration, names: SqlNames): readonly string[] {
  const { version, name } = migration;
  return [
    `-- ${version}: ${name}: indexes`,
    ...indexesOf(migration, names)
      .flatMap((index) => buildOnlineStatements(index, names))
      .map((statement) => `${statement};`),
    `${appliedStatement(migration, names)} ON CONFLICT DO NOTHING;`,
  ];
}

function appliedStatement({ version, name }: SchemaMigration, names: SqlNames): string {
  return `INSERT INTO ${names.table('schema')} ("version", "name") VALUES (${version}, '${name}')`;
}
