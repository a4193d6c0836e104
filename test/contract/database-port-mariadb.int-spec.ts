import { DataSource } from 'typeorm';
import { MysqlDatabase } from '../../libs/reliable-mq/src/database/mysql/mysql-database';
import { createTestDatabase } from '../support/database';
import { usePrivateServers } from '../support/private-servers';
import { type DatabaseHarness, describeDatabasePort, POOL_SIZE } from './database-port.contract';

/** Whether new sessions may write is a setting of the whole server. */
const servers = usePrivateServers();

async function open(): Promise<DatabaseHarness> {
  const server = await servers.mariadb();
  const test = await createTestDatabase(server.url());
  const dataSource = await new DataSource({ type: 'mariadb', url: test.url, poolSize: POOL_SIZE }).initialize();
  const outside = await new DataSource({ type: 'mariadb', url: test.url, poolSize: 3 }).initialize();
  return {
    database: new MysqlDatabase('mariadb', dataSource),
    dataSource,
    outside,
    openTransactions: async () => openTransactions(outside),
    setReadOnly: (readOnly) => server.letNewSessionsWrite(!readOnly),
    kill: async (queryRunner) => test.endSession(await test.sessionOf(queryRunner)),
    lockNow: (id) => `SELECT 1 FROM thing WHERE id = ${id} FOR UPDATE NOWAIT`,
    dispose: async () => {
      await dataSource.destroy();
      await outside.destroy();
      await test.drop();
    },
  };
}

describeDatabasePort('MariaDB', open);

/** As the server's monitor has them: the table that has the same is not made anew for as long as somebody keeps reading it. */
async function openTransactions(outside: DataSource): Promise<number> {
  const [row] = await outside.query<[{ Status: string }]>('SHOW ENGINE INNODB STATUS');
  return row.Status.split('---TRANSACTION ').filter((text) => /^\d+, ACTIVE/.test(text)).length;
}
