import type { DataSource } from 'typeorm';
import { describeError } from '../../event/errors';
import { createLog } from '../../log/log';
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
/** Rows that are not found where they must be are a reason to look again, but not all the time. */
const SUSPECTED_AGAIN_MS = 60_000;

interface CheckedTable {
  readonly role: TableRole;
  readonly type: string | undefined;
  readonly engine: string | undefined;
  readonly missing: readonly string[];
}

/** Whether this application's user may see and change all rows of the library's tables, and whether they keep what is committed. */
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
    const names = sqlNamesOf(this.dataSource);
    const [session] = await queryAlone<{ account: string }>(this.dataSource, 'SELECT CURRENT_USER() AS account');
    const found: string[] = [];
    for (const role of TABLE_ROLES) {
      found.push(...problemsOf(await this.ask(role, names), names.table(role), session?.account ?? ''));
    }
    this.found = found;
    for (const problem of found.filter((each) => !before.includes(each))) {
      this.logger.error('The tables cannot be used as they must be', { dataSource: this.name, problem });
    }
    return found;
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

  private async ask(role: TableRole, names: SqlNames): Promise<CheckedTable> {
    const missing: string[] = [];
    for (const [right, statement] of Object.entries(RIGHTS[role])) {
      try {
        await queryAlone(this.dataSource, `EXPLAIN ${statement(names.table(role))}`);
      } catch (error) {
        if (errorNumber(error) === ErrorNumber.NO_SUCH_TABLE)
          return { role, type: undefined, engine: undefined, missing };
        if (errorNumber(error) !== ErrorNumber.TABLE_ACCESS_DENIED) throw error;
        missing.push(right);
      }
    }
    const [table] = await queryAlone<{ table_type: string; table_engine: string | null }>(
      this.dataSource,
      `SELECT TABLE_TYPE AS table_type, ENGINE AS table_engine FROM information_schema.TABLES
       WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?`,
      [names.database, names.plain(role)],
    );
    return { role, type: table?.table_type ?? 'BASE TABLE', engine: table?.table_engine ?? undefined, missing };
  }
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
