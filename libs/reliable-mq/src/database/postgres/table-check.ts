import type { DataSource } from 'typeorm';
import { describeError } from '../../event/errors';
import { createLog } from '../../log/log';
import { queryAlone } from './sql';
import { TABLE_ROLES, type TableRole } from '../table-names';
import { sqlNamesOf } from './sql-names';

/** What statements do to the tables. Rows are locked too, which takes the right to UPDATE. */
const RIGHTS: Readonly<Record<TableRole, readonly string[]>> = {
  outbox: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  inbox: ['SELECT', 'INSERT', 'UPDATE', 'DELETE'],
  schema: ['SELECT'],
  owner: ['SELECT', 'INSERT'],
  audit: ['SELECT', 'INSERT'],
  paused: ['SELECT', 'INSERT', 'DELETE'],
};
/** Rows that are not found where they must be are a reason to look again, but not all the time. */
const SUSPECTED_AGAIN_MS = 60_000;

interface CheckedTable {
  readonly role: TableRole;
  readonly user: string;
  readonly kind: string | null;
  readonly missing: readonly string[];
  readonly isFiltered: boolean | null;
}

/** Whether this application's role sees and may change all rows of the library's tables. */
export class TableCheck {
  private readonly logger = createLog();
  private found: readonly string[] = [];
  private suspectedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly name: string,
    private readonly dataSource: DataSource,
  ) {}

  /** What the last look has found, each as a sentence with what to do. */
  get problems(): readonly string[] {
    return this.found;
  }

  /** @returns the problems, which are in the log if they are news */
  async run(): Promise<readonly string[]> {
    const before = this.found;
    const tables = await this.ask();
    this.found = tables.flatMap((table) => this.problemsOf(table));
    for (const problem of this.found.filter((each) => !before.includes(each))) {
      this.logger.error('The tables cannot be used as they must be', { dataSource: this.name, problem });
    }
    return this.found;
  }

  /** To be told when a row is not there that must be. */
  suspect(): void {
    if (performance.now() - this.suspectedAt < SUSPECTED_AGAIN_MS) return;
    this.suspectedAt = performance.now();
    this.run().catch((error: unknown) => {
      this.logger.warn('Rights and visibility of the tables could not be checked', {
        dataSource: this.name,
        error: describeError(error),
      });
    });
  }

  private async ask(): Promise<readonly CheckedTable[]> {
    const names = sqlNamesOf(this.dataSource);
    return queryAlone<CheckedTable>(
      this.dataSource,
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

  private problemsOf({ role, user, kind, missing, isFiltered }: CheckedTable): readonly string[] {
    const table = sqlNamesOf(this.dataSource).table(role);
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
}
