import type { DataSource } from 'typeorm';
import { type TableNames, tableNamesOf, type TableRole } from '../table-names';

/** How statements call the library's tables and their indexes. */
export class SqlNames {
  readonly outbox: string;
  readonly inbox: string;

  /** @param schema undefined: wherever the session's search_path leads */
  constructor(
    private readonly names: TableNames,
    readonly schema: string | undefined,
  ) {
    this.outbox = this.table('outbox');
    this.inbox = this.table('inbox');
  }

  table(role: TableRole): string {
    return this.inSchema(quoted(this.names[role]));
  }

  /** As the catalogs have it. */
  plain(role: TableRole): string {
    return this.names[role];
  }

  /** @param name as `index` returns it: a statement that creates it takes it so, one that drops it wants the schema too */
  inSchema(name: string): string {
    return this.schema === undefined ? name : `${quoted(this.schema)}.${name}`;
  }

  /** One of a table's indexes or constraints, which lies in the schema of its table; `pkey` is the primary key. */
  index(role: TableRole, suffix: string): string {
    return quoted(`${this.names[role]}_${suffix}`);
  }
}

const known = new WeakMap<DataSource, SqlNames>();

/** The names in the schema that was found at boot; until then in the one that the DataSource is configured with. */
export function sqlNamesOf(dataSource: DataSource): SqlNames {
  const found = known.get(dataSource);
  if (found) return found;
  const names = new SqlNames(tableNamesOf(dataSource), (dataSource.options as { readonly schema?: string }).schema);
  known.set(dataSource, names);
  return names;
}

/** From here on the tables are looked for in this schema, whatever a session's `search_path` says. */
export function rememberSchema(dataSource: DataSource, schema: string): void {
  known.set(dataSource, new SqlNames(tableNamesOf(dataSource), schema));
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
