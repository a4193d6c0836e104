import { DataSource } from 'typeorm';
import { PostgresDatabase } from '../../libs/reliable-mq/src/database/postgres/postgres-database';
import { createTestDatabase } from '../support/database';
import { type DatabaseHarness, describeDatabasePort, POOL_SIZE } from './database-port.contract';

async function open(encoding?: 'LATIN1'): Promise<DatabaseHarness> {
  const test = await createTestDatabase(undefined, encoding);
  const dataSource = await new DataSource({ type: 'postgres', url: test.url, poolSize: POOL_SIZE }).initialize();
  const outside = await new DataSource({ type: 'postgres', url: test.url, poolSize: 3 }).initialize();
  return {
    database: new PostgresDatabase(dataSource),
    dataSource,
    outside,
    openTransactions: async () => {
      const [row] = await outside.query<[{ count: number }]>(
        `SELECT count(*)::int AS count FROM pg_stat_activity
         WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()`,
      );
      return row.count;
    },
    setReadOnly: async (readOnly) => {
      await outside.query(
        `ALTER DATABASE "${test.name}" SET default_transaction_read_only = ${readOnly ? 'on' : 'off'}`,
      );
    },
    kill: async (queryRunner) => {
      const [row] = (await queryRunner.query('SELECT pg_backend_pid() AS pid')) as [{ pid: number }];
      await outside.query('SELECT pg_terminate_backend($1)', [row.pid]);
    },
    lockNow: (id) => `SELECT FROM thing WHERE id = ${id} FOR UPDATE NOWAIT`,
    dispose: async () => {
      await dataSource.destroy();
      await outside.destroy();
      await test.drop();
    },
  };
}

describeDatabasePort('PostgreSQL', () => open());
describeDatabasePort('PostgreSQL with the encoding LATIN1', () => open('LATIN1'));
