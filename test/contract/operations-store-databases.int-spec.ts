import { DataSource } from 'typeorm';
import { databaseFor } from '../../libs/reliable-mq/src/database/databases';
import { createTestDatabase, type DatabaseName } from '../support/database';
import { setIsolation } from './mysql-sessions';
import { describeOperationsStore } from './operations-store.contract';
import type { OperationsHarness } from './operations-store/operations-fixture';

async function createHarness(kind: DatabaseName, isolation?: string): Promise<OperationsHarness> {
  const database = await createTestDatabase(kind);
  const dataSource = await new DataSource({ type: kind, url: database.url, poolSize: 12 }).initialize();
  if (isolation) setIsolation(dataSource, isolation);
  const stores = databaseFor(kind, 'default').open(dataSource, 'default');
  await stores.database.open('migrate');
  return {
    ...stores,
    database,
    transaction: (work) => dataSource.transaction(work),
    dispose: async () => {
      await dataSource.destroy();
      await database.drop();
    },
  };
}

describeOperationsStore('PostgreSQL', () => createHarness('postgres'));
describeOperationsStore('MariaDB', () => createHarness('mariadb', 'REPEATABLE READ'));
describeOperationsStore('MariaDB, SERIALIZABLE', () => createHarness('mariadb', 'SERIALIZABLE'));
