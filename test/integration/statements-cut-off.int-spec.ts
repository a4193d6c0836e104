import { DataSource, type QueryRunner } from 'typeorm';
import { DatabaseDeadlineError } from '../../libs/reliable-mq/src/database/deadline';
import { queryAlone } from '../../libs/reliable-mq/src/database/sql';
import { eventually } from '../support/eventually';
import { Consuming, SERVICE } from './consume-harness';

const POOL_SIZE = 3;

/**
 * The server does not notice that nobody listens any more to a statement which waits for a lock. A process that is frozen in the
 * midst of a transaction holds its locks for hours, and what waits for them must not gather until the server takes no connection.
 */
describe('a statement that is not answered in time', () => {
  let consuming: Consuming;
  let outside: DataSource;
  let frozen: QueryRunner;

  beforeAll(async () => {
    consuming = await Consuming.start({ poolSize: POOL_SIZE });
    outside = await new DataSource({ type: 'postgres', url: consuming.database.url, poolSize: 2 }).initialize();
  });
  beforeEach(async () => {
    frozen = outside.createQueryRunner();
    await frozen.startTransaction();
  });
  afterEach(async () => {
    if (frozen.isTransactionActive) await frozen.rollbackTransaction();
    await frozen.release();
  });
  afterAll(async () => {
    await outside.destroy();
    await consuming.close();
  });

  async function waitingForLocks(): Promise<number[]> {
    const sessions = await outside.query<{ pid: number }[]>(
      `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return sessions.map(({ pid }) => pid);
  }

  /** As a handler's transaction does that has not been committed. */
  async function claim(eventId: string): Promise<void> {
    await frozen.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at)
       VALUES ($1, $2, 'note.taken', 1, 'handled', 1, now())`,
      [eventId, SERVICE],
    );
  }

  it('does not go on at the server', async () => {
    const { dataSource } = consuming.app;
    await claim('held');
    const statement = (): Promise<unknown> =>
      queryAlone(
        dataSource,
        `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at)
         VALUES ('held', $1, 'note.taken', 1, 'handled', 2, now()) ON CONFLICT DO NOTHING`,
        [SERVICE],
        200,
      );
    // As many as the pool has connections: those that replace them must not be needed to end them.
    const statements = await Promise.allSettled(Array.from({ length: POOL_SIZE }, statement));
    for (const { status, reason } of statements as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toBeInstanceOf(DatabaseDeadlineError);
    }
    await eventually(async () => expect(await waitingForLocks()).toEqual([]));
    await frozen.rollbackTransaction();
    await expect(consuming.inbox('held')).resolves.toEqual([]);
  });
});
