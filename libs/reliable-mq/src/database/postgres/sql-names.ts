import type { DataSource } from 'typeorm';
import { INBOX_TABLE } from '../../inbox/inbox.entity';
import { OUTBOX_TABLE } from '../../outbox/outbox.entity';

/** The outbox and the inbox, which migrations a database has had, and which service the outbox and the inbox belong to. */
export type TableRole = 'outbox' | 'inbox' | 'schema' | 'owner';

/** Without a prefix. */
const PLAIN: Readonly<Record<TableRole, string>> = {
  outbox: OUTBOX_TABLE,
  inbox: INBOX_TABLE,
  schema: 'reliable_mq_schema',
  owner: 'reliable_mq_owner',
};
/** What a naming strategy is told: the names of the entities, or what they would be. */
const TARGETS: Readonly<Record<TableRole, string>> = {
  outbox: 'OutboxEvent',
  inbox: 'InboxEntry',
  schema: 'ReliableMqSchema',
  owner: 'ReliableMqOwner',
};
export const TABLE_ROLES = Object.keys(PLAIN) as readonly TableRole[];

/** How statements call the library's tables and their indexes. */
export class SqlNames {
  /** @param schema undefined: wherever the session's search_path leads */
  constructor(
    private readonly names: Readonly<Record<TableRole, string>>,
    readonly schema: string | undefined,
  ) {}

  get outbox(): string {
    return this.table('outbox');
  }

  get inbox(): string {
    return this.table('inbox');
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

/** As TypeORM would call the tables' entities: by the DataSource's naming strategy and its `entityPrefix`. */
function namesOf(dataSource: DataSource): Readonly<Record<TableRole, string>> {
  const { namingStrategy } = dataSource;
  const { entityPrefix } = dataSource.options;
  return mapRoles((role) => {
    const name = namingStrategy.tableName(TARGETS[role], PLAIN[role]);
    return entityPrefix ? namingStrategy.prefixTableName(entityPrefix, name) : name;
  });
}

/** As `namesOf` says with TypeORM's own naming strategy. */
export function namesWithPrefix(prefix: string): Readonly<Record<TableRole, string>> {
  return mapRoles((role) => `${prefix}${PLAIN[role]}`);
}

const known = new WeakMap<DataSource, SqlNames>();

/** The names in the schema that was found at boot; until then in the one that the DataSource is configured with. */
export function sqlNamesOf(dataSource: DataSource): SqlNames {
  const found = known.get(dataSource);
  if (found) return found;
  const names = new SqlNames(namesOf(dataSource), (dataSource.options as { readonly schema?: string }).schema);
  known.set(dataSource, names);
  return names;
}

/** From here on the tables are looked for in this schema, whatever a session's `search_path` says. */
export function rememberSchema(dataSource: DataSource, schema: string): void {
  known.set(dataSource, new SqlNames(namesOf(dataSource), schema));
}

function mapRoles(nameOf: (role: TableRole) => string): Readonly<Record<TableRole, string>> {
  return Object.fromEntries(TABLE_ROLES.map((role) => [role, nameOf(role)])) as Record<TableRole, string>;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
