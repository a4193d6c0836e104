import type { DataSource } from 'typeorm';
import { INBOX_TABLE } from '../inbox/inbox.entity';
import { OUTBOX_TABLE } from '../outbox/outbox.entity';

/**
 * The outbox and the inbox, which migrations a database has had, which service the outbox and the inbox belong to, what people have done, and
 * which queues they have paused.
 */
export type TableRole = 'outbox' | 'inbox' | 'schema' | 'owner' | 'audit' | 'paused';

export type TableNames = Readonly<Record<TableRole, string>>;

/** Without a prefix. */
const PLAIN: TableNames = {
  outbox: OUTBOX_TABLE,
  inbox: INBOX_TABLE,
  schema: 'reliable_mq_schema',
  owner: 'reliable_mq_owner',
  audit: 'reliable_mq_audit',
  paused: 'reliable_mq_paused',
};
/** What a naming strategy is told: the names of the entities, or what they would be. */
const TARGETS: TableNames = {
  outbox: 'OutboxEvent',
  inbox: 'InboxEntry',
  schema: 'ReliableMqSchema',
  owner: 'ReliableMqOwner',
  audit: 'ReliableMqAudit',
  paused: 'ReliableMqPaused',
};
export const TABLE_ROLES = Object.keys(PLAIN) as readonly TableRole[];

/** As TypeORM would call the tables' entities: by the DataSource's naming strategy and its `entityPrefix`. */
export function tableNamesOf(dataSource: DataSource): TableNames {
  const { namingStrategy } = dataSource;
  const { entityPrefix } = dataSource.options;
  return mapRoles((role) => {
    const name = namingStrategy.tableName(TARGETS[role], PLAIN[role]);
    return entityPrefix ? namingStrategy.prefixTableName(entityPrefix, name) : name;
  });
}

/** As `tableNamesOf` says with TypeORM's own naming strategy. */
export function namesWithPrefix(prefix: string): TableNames {
  return mapRoles((role) => `${prefix}${PLAIN[role]}`);
}

function mapRoles(nameOf: (role: TableRole) => string): TableNames {
  return Object.fromEntries(TABLE_ROLES.map((role) => [role, nameOf(role)])) as TableNames;
}
