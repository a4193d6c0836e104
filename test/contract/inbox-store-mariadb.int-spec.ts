import { DataSource } from 'typeorm';
import { MysqlDatabase } from '../../libs/reliable-mq/src/database/mysql/mysql-database';
import { MysqlInboxStore } from '../../libs/reliable-mq/src/database/mysql/mysql-inbox.store';
import { createTestDatabase } from '../support/database';
import { describeInboxStore } from './inbox-store.contract';
import type { InboxHarness } from './inbox-store/inbox-fixture';
import { setIsolation } from './mysql-sessions';

const TABLE = 'reliable_mq_inbox';

async function createHarness(isolation: string, options: object = {}): Promise<InboxHarness> {
  const database = await createTestDatabase('mariadb');
  const dataSource = new DataSource({ type: 'mariadb', url: database.url, poolSize: 12, ...options });
  await dataSource.initialize();
  setIsolation(dataSource, isolation);
  await new MysqlDatabase('mariadb', dataSource).open('migrate');
  return {
    dataSource,
    store: new MysqlInboxStore(dataSource),
    row: async ({ eventId, consumer, type }) => {
      const rows = await database.inbox({ id: eventId });
      return rows.find((row) => row.consumer === consumer && row.type === type);
    },
    age: async ({ eventId, consumer, type }, byMs) => {
      await database.query(
        `UPDATE ${TABLE} SET due_at = due_at - INTERVAL $1 MICROSECOND, ended_at = ended_at - INTERVAL $1 MICROSECOND
         WHERE event_id = $2 AND consumer = $3 AND type = $4`,
        [byMs * 1000, eventId, consumer, type],
      );
    },
    waitingForLocks: () => database.waitingForLocks(),
    clear: () => database.empty(TABLE),
    dispose: async () => {
      await dataSource.destroy();
      await database.drop();
    },
  };
}

describeInboxStore('MariaDB', () => createHarness('REPEATABLE READ'));
describeInboxStore('MariaDB, SERIALIZABLE', () => createHarness('SERIALIZABLE'));
describeInboxStore('MariaDB, READ COMMITTED, without FOUND_ROWS', () =>
  createHarness('READ COMMITTED', {
    flags: ['-FOUND_ROWS'],
    timezone: '+09:00',
    bigNumberStrings: true,
    supportBigNumbers: true,
  }),
);
