import type { DataSource } from 'typeorm';
import { TABLE_ROLES, type TableRole } from '../table-names';
import { ErrorNumber, errorNumber } from './database-errors';
import { queryAlone } from './sql';
import { type SqlNames, sqlNamesOf } from './sql-names';

/** Statements that do nothing (EXPLAIN), and that the server refuses to those who may not run what they explain. */
const RIGHTS: Readonly<Record<TableRole, Readonly<Record<string, (table: string) => string>>>> = {
  outbox: {
    SELECT: (table) => `SELECT 1 FROM ${table}`,
    INSERT: (table) => `INSERT INTO ${table} (id) VALUES ('')`,
    UPDATE: (table) => `UPDATE ${table} SET attempts = 0 WHERE id = ''`,
    DELETE: (table) => `DELETE FROM ${table} WHERE id = ''`,
  },
  inbox: {
    SELECT: (table) => `SELECT 1 FROM ${table}`,
    INSERT: (table) => `INSERT INTO ${table} (event_id) VALUES ('')`,
    UPDATE: (table) => `UPDATE ${table} SET attempts = 0 WHERE event_id = ''`,
    DELETE: (table) => `DELETE FROM ${table} WHERE event_id = ''`,
  },
  schema: { SELECT: (table) => `SELECT 1 FROM ${table}` },
  owner: {
    SELECT: (table) => `SELECT 1 FROM ${table}`,
    INSERT: (table) => `INSERT INTO ${table} (part) VALUES ('')`,
  },
  audit: {
    SELECT: (table) => `SELECT 1 FROM ${table}`,
    INSERT: (table) => `INSERT INTO ${table} (id) VALUES ('')`,
  },
  paused: {
    SELECT: (table) => `SELECT 1 FROM ${table}`,
    INSERT: (table) => `INSERT INTO ${table} (consumer) VALUES ('')`,
    DELETE: (table) => `DELETE FROM ${table} WHERE consumer = ''`,
  },
};

interface CheckedTable {
  readonly role: TableRole;
  readonly type: string | undefined;
  readonly engine: string | undefined;
  readonly missing: readonly string[];
}

/**
 * Whether this application's user may see and change all rows of the library's tables, and whether they keep what is committed.
 * @returns each obstacle as a sentence with what to do
 */
export async function tableProblems(dataSource: DataSource): Promise<readonly string[]> {
  const names = sqlNamesOf(dataSource);
  const [session] = await queryAlone<{ account: string }>(dataSource, 'SELECT CURRENT_USER() AS account');
  const problems: string[] = [];
  for (const role of TABLE_ROLES) {
    problems.push(...problemsOf(await ask(dataSource, role, names), names.table(role), session?.account ?? ''));
  }
  return problems;
}

async function ask(dataSource: DataSource, role: TableRole, names: SqlNames): Promise<CheckedTable> {
  const missing: string[] = [];
  for (const [right, statement] of Object.entries(RIGHTS[role])) {
    try {
      await queryAlone(dataSource, `EXPLAIN ${statement(names.table(role))}`);
    } catch (error) {
      if (errorNumber(error) === ErrorNumber.NO_SUCH_TABLE)
        return { role, type: undefined, engine: undefined, missing };
      if (errorNumber(error) !== ErrorNumber.TABLE_ACCESS_DENIED) throw error;
      missing.push(right);
    }
  }
  const [table] = await queryAlone<{ table_type: string; table_engine: string | null }>(
    dataSource,
    `SELECT TABLE_TYPE AS table_type, ENGINE AS table_engine FROM information_schema.TABLES
       WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
    [names.database, names.plain(role)],
  );
  return { role, type: table?.table_type ?? 'BASE TABLE', engine: table?.table_engine ?? undefined, missing };
}

function problemsOf({ type, engine, missing }: CheckedTable, table: string, account: string): readonly string[] {
  if (missing.length > 0) {
    const rights = missing.join(', ');
    const at = account.lastIndexOf('@');
    const user = `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
    return [`User ${user} may not ${rights} on ${table}: GRANT ${rights} ON ${table} TO ${user}.`];
  }
  if (type === undefined) return [`${table} does not exist any more.`];
  if (type !== 'BASE TABLE') return [`${table} is not a table: something else has its name.`];
  if (engine !== undefined && engine !== 'InnoDB') {
    return [
      `${table} is kept by ${engine}, which has no transactions: what is rolled back stays in it. ` +
        `Stop all instances, ALTER TABLE ${table} ENGINE = InnoDB, and start them again.`,
    ];
  }
  return [];
}
