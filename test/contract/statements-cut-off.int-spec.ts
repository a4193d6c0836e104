import { DataSource, type QueryRunner } from 'typeorm';
import { DatabaseDeadlineError } from '../../libs/reliable-mq/src/database/port';
import { lockTimeout, queryWaiting } from '../../libs/reliable-mq/src/database/postgres/sql';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { eventually } from '../support/eventually';

const POOL_SIZE = 3;

/**
 * The server does not notice that nobody listens any more to a statement which waits for a lock. Whoever tries again in time
 * would gather sessions there, until it takes no more.
 */
describe('a statement that has waited for another transaction for too long', () => {
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

  async function waitingForLocks(): Promise<number> {
    const [found] = await outside.query<[{ count: number }]>(
      `SELECT count(*)::int AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return found.count;
  }

  it('does not go on at the server', async () => {
    await holder.startTransaction();
    await holder.query(`INSERT INTO claim VALUES ('held')`);
    const claim = (waitMs: number): Promise<unknown> =>
      queryWaiting(
        dataSource,
        `INSERT INTO claim SELECT 'held' FROM ${lockTimeout('$1')} ON CONFLICT DO NOTHING RETURNING id`,
        [waitMs],
        waitMs,
      );

    // As many as the pool has connections.
    const claims = Promise.allSettled(Array.from({ length: POOL_SIZE }, () => claim(3_000)));
    await eventually(async () => expect(await waitingForLocks()).toBe(POOL_SIZE));
    for (const { status, reason } of (await claims) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toEqual(new DatabaseDeadlineError('another transaction has held the row for 3000 ms'));
    }
    await eventually(async () => expect(await waitingForLocks()).toBe(0));

    await holder.rollbackTransaction();
    await expect(outside.query('SELECT FROM claim')).resolves.toEqual([]);
    await expect(claim(30_000)).resolves.toEqual([{ id: 'held' }]);
    // The sessions' own setting is what it was.
    await expect(dataSource.query('SHOW lock_timeout')).resolves.toEqual([{ lock_timeout: '0' }]);
  });
});
