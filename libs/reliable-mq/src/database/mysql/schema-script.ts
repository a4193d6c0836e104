import type { Server } from './server';
import { namesWithPrefix } from '../table-names';
import { appliedStatement, MIGRATIONS, schemaTableStatement } from './migrations/migrations';
import { SqlNames } from './sql-names';

/** All tables as one idempotent script, for the database, or the one that the connection uses. */
export function schemaScript(kind: Server['kind'], database: string | undefined, prefix: string): string {
  const names = new SqlNames(namesWithPrefix(prefix), database);
  const statements = MIGRATIONS.flatMap((migration) => [
    `-- ${migration.version}: ${migration.name}`,
    ...[...migration.up(names, kind), appliedStatement(names, migration)].map((statement) => `${statement};`),
  ]);
  return ['SET NAMES utf8mb4;', `${schemaTableStatement(names, kind)};`, ...statements, ''].join('\n');
}
