import { DataSource, type QueryRunner } from 'typeorm';
import { DatabaseDeadlineError } from '../../libs/reliable-mq/src/database/deadline';
import { queryAlone } from '../../libs/reliable-mq/src/database/sql';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';

const POOL_SIZE = 3;

/**
 * The server does not notice that nobody listens any more to a statement which waits for a lock. Whoever tries again in time
 * would gather sessions there, until it takes no more.
 */
describe('a statement that is not answered in time', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let outside: DataSource;
  let holder: QueryRunner;

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url, poolSize: POOL_SIZE }).initialize();
    outside = await new DataSource({ type: 'postgres', url: database.url, poolSize: 2 }).initialize();
    await outside.query('CREATE TABLE claim (id text PRIMARY KEY)');
    holder = outside.createQueryRunner();
  });
  afterAll(async () => {
    await holder.release();
    await outside.destroy();
    await dataSource.destroy();
    await database.drop();
  });

  it('does not go on at the server, and its connection is replaced', async () => {
    await holder.startTransaction();
    await holder.query(`INSERT INTO claim VALUES ('held')`);
    const claim = (deadlineMs?: number): Promise<unknown> =>
      queryAlone(dataSource, `INSERT INTO claim VALUES ('held') ON CONFLICT DO NOTHING RETURNING id`, [], deadlineMs);

    // As many as the pool has connections: none of them is left to end the others with.
    const claims = await Promise.allSettled(Array.from({ length: POOL_SIZE }, () => claim(200)));
    for (const { status, reason } of claims as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toBeInstanceOf(DatabaseDeadlineError);
    }
    await eventually(async () => {
      const waiting = await outside.query<object[]>(
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(waiting).toEqual([]);
    });

    await holder.rollbackTransaction();
    await expect(outside.query('SELECT FROM claim')).resolves.toEqual([]);
    await expect(claim()).resolves.toEqual([{ id: 'held' }]);
  });
});
