import { MIGRATIONS, schemaTableStatement } from './migrations/migrations';
import { namesWithPrefix } from '../table-names';
import { SqlNames } from './sql-names';

/** A comment, and no `\set`: the script is run by drivers too, which know no commands of psql. */
const PSQL_HINT =
  '-- With psql: -v ON_ERROR_STOP=1, without which it exits 0 although a statement failed and nothing was created.';

const QUOTE = '$reliable_mq$';

/** All tables as one idempotent script, for the schema, or the first one of the connection's `search_path`. */
export function schemaScript(schema: string | undefined, prefix: string): string {
  const names = new SqlNames(namesWithPrefix(prefix), schema);
  // Each only where it is missing: one that has been run may take long, or locks, to end where it began.
  const statements = MIGRATIONS.flatMap(({ version, name, up }) => [
    `-- ${version}: ${name}`,
    `DO ${QUOTE} BEGIN IF NOT EXISTS (SELECT FROM ${names.table('schema')} WHERE "version" = ${version}) THEN`,
    ...up(names).map((statement) => `${statement};`),
    `INSERT INTO ${names.table('schema')} ("version", "name") VALUES (${version}, '${name}');`,
    `END IF; END ${QUOTE};`,
  ]);
  return [PSQL_HINT, 'BEGIN;', `${schemaTableStatement(names)};`, ...statements, 'COMMIT;', ''].join('\n');
}
