import type { DatabaseKind } from '../database-kind';
import { PostgresDatabase } from './postgres-database';
import { PostgresInboxStore } from './postgres-inbox.store';
import { PostgresOperationsStore } from './postgres-operations.store';
import { PostgresOutboxStore } from './postgres-outbox.store';
import { schemaScript } from './schema-script';

/** PostgreSQL 13 and later, by `pg`. */
export const POSTGRES: DatabaseKind = {
  name: 'postgres',
  drivers: ['postgres'],
  open: (dataSource, name) => {
    const database = new PostgresDatabase(dataSource, name);
    return {
      database,
      outbox: new PostgresOutboxStore(dataSource, () => database.suspectTables()),
      inbox: new PostgresInboxStore(dataSource),
      operations: new PostgresOperationsStore(dataSource),
    };
  },
  schemaScript,
};
