import type { DatabaseKind } from '../database-kind';
import { MysqlDatabase } from './mysql-database';
import { MysqlInboxStore } from './mysql-inbox.store';
import { MysqlOutboxStore } from './mysql-outbox.store';
import { schemaScript } from './schema-script';

/** MySQL 8.0.17 and later, and MariaDB 10.6 and later, by `mysql2`. Which of the two answers is found at boot, whatever `type` says. */
function kindOf(name: 'mysql' | 'mariadb'): DatabaseKind {
  return {
    name,
    drivers: [name],
    open: (dataSource, dataSourceName) => {
      const database = new MysqlDatabase(name, dataSource, dataSourceName);
      return {
        database,
        outbox: new MysqlOutboxStore(dataSource, () => database.suspectTables()),
        inbox: new MysqlInboxStore(dataSource),
        operations: missing('operations', 'pausedQueues'),
      };
    },
    schemaScript: (schema, prefix) => schemaScript(name, schema, prefix),
  };
}

export const MYSQL = kindOf('mysql');
export const MARIADB = kindOf('mariadb');

/**
 * A store whose every method says that it is not there.
 * @param asked by the running application: that finds nothing
 */
function missing(what: string, asked: string): never {
  const refuse = (): Promise<never> => Promise.reject(new Error(`MySQL and MariaDB have no ${what} in this version`));
  const nothing = (): Promise<readonly never[]> => Promise.resolve([]);
  return new Proxy({}, { get: (_target, name) => (name === asked ? nothing : refuse) }) as never;
}
