import type { DataSource } from 'typeorm';
import { type TableNames, tableNamesOf, type TableRole } from '../table-names';

/** How statements call the library's tables and their indexes. */
export class SqlNames {
  /** @param database undefined: the one that the session uses */
  constructor(
    private readonly names: TableNames,
    readonly database: string | undefined,
  ) {}

  get outbox(): string {
    return this.table('outbox');
  }

  get inbox(): string {
    return this.table('inbox');
  }

  table(role: TableRole): string {
    const name = quoted(this.names[role]);
    return this.database === undefined ? name : `${quoted(this.database)}.${name}`;
  }

  /** As the catalogs have it. */
  plain(role: TableRole): string {
    return this.names[role];
  }

  /** One of a table's indexes. */
  index(role: TableRole, suffix: string): string {
    return quoted(`${this.names[role]}_${suffix}`);
  }
}

const known = new WeakMap<DataSource, SqlNames>();

/** The names in the database that the DataSource's sessions were found to use at boot. */
export function sqlNamesOf(dataSource: DataSource): SqlNames {
  const found = known.get(dataSource);
  if (found) return found;
  const names = new SqlNames(tableNamesOf(dataSource), undefined);
  known.set(dataSource, names);
  return names;
}

/** From here on the tables are looked for in this database, whatever a session says with USE. */
export function rememberDatabase(dataSource: DataSource, database: string): void {
  known.set(dataSource, new SqlNames(tableNamesOf(dataSource), database));
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
