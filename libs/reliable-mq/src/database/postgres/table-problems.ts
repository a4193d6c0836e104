import type { DataSource } from 'typeorm';
import { queryAlone } from './sql';
import { TABLE_ROLES, type TableRole } from '../table-names';
import { type SqlNames, sqlNamesOf } from './sql-names';

/** What statements do to the tables. Rows are locked too, which takes the right to UPDATE. */
const RIGHTS: Readonly<Record<TableRole, readonly string[]>> = {
  outbox: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  inbox: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  schema: ['SELECT'],
  owner: ['SELECT', 'INSERT'],
  audit: ['SELECT', 'INSERT'],
  paused: ['SELECT', 'INSERT', 'DELETE'],
};

interface CheckedTable {
  readonly role: TableRole;
  readonly user: string;
  readonly kind: string | null;
  readonly missing: readonly string[];
  readonly isFiltered: boolean | null;
}

/**
 * Whether this application's role sees and may change all rows of the library's tables.
 * @returns each obstacle as a sentence with what to do
 */
export async function tableProblems(dataSource: DataSource): Promise<readonly string[]> {
  const names = sqlNamesOf(dataSource);
  const tables = await ask(dataSource, names);
  return tables.flatMap((table) => problemsOf(table, names));
}

function ask(dataSource: DataSource, names: SqlNames): Promise<readonly CheckedTable[]> {
  return queryAlone<CheckedTable>(
    dataSource,
    `SELECT t.role, current_user::text AS user, c.relkind AS kind, row_security_active(c.oid) AS "isFiltered",
         ARRAY(SELECT wanted FROM unnest(string_to_array(t.rights, ' ')) AS wanted WHERE NOT has_table_privilege(c.oid, wanted)) AS missing
       FROM unnest($1::text[], $2::text[], $3::text[]) AS t (role, name, rights)
       LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace) ON c.relname = t.name AND n.nspname = $4`,
    [
      TABLE_ROLES,
      TABLE_ROLES.map((role) => names.plain(role)),
      TABLE_ROLES.map((role) => RIGHTS[role].join(' ')),
      names.schema,
    ],
  );
}

function problemsOf({ role, user, kind, missing, isFiltered }: CheckedTable, names: SqlNames): readonly string[] {
  const table = names.table(role);
  if (kind === null) return [`${table} does not exist any more.`];
  const problems: string[] = [];
  // An ordinary table, or one that somebody has partitioned.
  if (kind !== 'r' && kind !== 'p') problems.push(`${table} is not a table: something else has its name.`);
  if (missing.length > 0) {
    const rights = missing.join(', ');
    problems.push(`Role "${user}" may not ${rights} on ${table}: GRANT ${rights} ON ${table} TO "${user}".`);
  }
  if (isFiltered) {
    problems.push(
      `Row-level security applies to role "${user}" on ${table}: what its policies hide is never published or ended. ` +
        `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY, or ALTER ROLE "${user}" BYPASSRLS.`,
    );
  }
  return problems;
}
