import { DataSource, type QueryRunner } from 'typeorm';
import { DatabaseDeadlineError } from '../../libs/reliable-mq/src/database/deadline';
import { queryWaiting } from '../../libs/reliable-mq/src/database/sql';
import { startProxy } from '../../tools/servers/tcp-proxy';
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

  it('does not go on at the server, and its connection is replaced', async () => {
    await holder.startTransaction();
    await holder.query(`INSERT INTO claim VALUES ('held')`);
    const claim = (waitMs: number): Promise<unknown> =>
      queryWaiting(dataSource, `INSERT INTO claim VALUES ('held') ON CONFLICT DO NOTHING RETURNING id`, [], waitMs);

    // As many as the pool has connections.
    const claims = Promise.allSettled(Array.from({ length: POOL_SIZE }, () => claim(3_000)));
    await eventually(async () => expect(await waitingForLocks()).toBe(POOL_SIZE));
    for (const { status, reason } of (await claims) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toEqual(new DatabaseDeadlineError('the database did not answer within 3000 ms'));
    }
    await eventually(async () => expect(await waitingForLocks()).toBe(0));

    await holder.rollbackTransaction();
    await expect(outside.query('SELECT FROM claim')).resolves.toEqual([]);
    await expect(claim(30_000)).resolves.toEqual([{ id: 'held' }]);
  });

  it('ends within its deadline when the server cannot even be asked, and gives its connection up', async () => {
    const target = new URL(database.url);
    const proxy = await startProxy({ target: { host: target.hostname, port: Number(target.port || 5432) } });
    const behind = await new DataSource({ type: 'postgres', url: proxy.url(database.url), poolSize: 1 }).initialize();
    try {
      await behind.query('SELECT 1');
      proxy.blackhole(true);
      await expect(queryWaiting(behind, 'SELECT 1', [], 300)).rejects.toThrow(DatabaseDeadlineError);
      proxy.blackhole(false);
      await expect(queryWaiting(behind, 'SELECT 1 AS one', [], 30_000)).resolves.toEqual([{ one: 1 }]);
    } finally {
      await behind.destroy();
      await proxy.close();
    }
  });
});
