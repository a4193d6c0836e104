import { randomUUID } from 'node:crypto';
import { DataSource, type Logger } from 'typeorm';
import { MARIADB } from '../../libs/reliable-mq/src/database/mysql/mysql';
import type { OpenDatabase } from '../../libs/reliable-mq/src/database/database-kind';
import { upTo } from './claim-limit';
import { createTestDatabase, type TestDatabase } from '../support/database';

const ENDED = 50_000;
const QUEUE = { consumer: 'stock', type: 'order.created', versions: [1], leaseMs: 60_000, waitMs: 60_000, limit: 50 };
const AUDIT = { operation: 'redrive', runId: randomUUID(), by: 'somebody', why: null, filter: null } as const;

/** How a statement reads one table. */
interface Access {
  readonly table: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly Extra: string | null;
}

describe('The plans of MariaDB over tables of many ended events and messages', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let stores: OpenDatabase;
  let dead: string[];
  const statements: { readonly sql: string; readonly parameters: unknown[] }[] = [];

  beforeAll(async () => {
    database = await createTestDatabase('mariadb');
    const logger = {
      logQuery: (sql: string, parameters: unknown[] = []) => void statements.push({ sql, parameters }),
      logQueryError: () => undefined,
      logQuerySlow: () => undefined,
      log: () => undefined,
    } as unknown as Logger;
    // One session, whose reads can be counted.
    dataSource = await new DataSource({ type: 'mariadb', url: database.url, poolSize: 1, logger }).initialize();
    stores = MARIADB.open(dataSource, 'default');
    await stores.database.open('migrate');
    await fillOutbox(ENDED, 'consumed', 'NULL');
    await fillOutbox(300, 'pending', 'UTC_TIMESTAMP(6) + INTERVAL n + 1 SECOND');
    await fillOutbox(500, 'published', 'UTC_TIMESTAMP(6) + INTERVAL n + 1 SECOND');
    await fillOutbox(20, 'dead', 'NULL');
    await fillInbox(ENDED, 'handled', 'NULL');
    await fillInbox(2_000, 'failed', 'UTC_TIMESTAMP(6) + INTERVAL n + 1 HOUR');
    await fillInbox(2_000, 'waiting', 'UTC_TIMESTAMP(6) + INTERVAL n + 1 HOUR', 9);
    for (const table of ['outbox', 'inbox']) await database.query(`ANALYZE TABLE reliable_mq_${table}`);
    const rows = await stores.operations.list({ status: 'dead', limit: 20 });
    dead = rows.map(({ id }) => id);
  }, 120_000);

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const numbers = (count: number): string =>
    `(WITH RECURSIVE small (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM small WHERE n < 249)
      SELECT high.n * 250 + low.n AS n FROM small AS high JOIN small AS low WHERE high.n * 250 + low.n < ${count}) AS numbers`;

  async function fillOutbox(count: number, status: string, dueAt: string): Promise<void> {
    await database.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, payload_bytes, consumers, confirm, status, attempts, history, outcomes,
         due_at, created_at, ended_at)
       SELECT UNHEX(CONCAT(LPAD(HEX(n + ${count}), 12, '0'), '7', SUBSTR(SHA2(RAND(), 256), 1, 19))), 'order.created', 1, '{}', 2, '[]', TRUE, '${status}', 1,
         '[]', '{}', ${dueAt}, UTC_TIMESTAMP(6), CASE WHEN ${dueAt} IS NULL THEN UTC_TIMESTAMP(6) - INTERVAL n + 1 SECOND END
       FROM ${numbers(count)}`,
    );
  }

  async function fillInbox(count: number, status: string, dueAt: string, version = 1): Promise<void> {
    await database.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, history, due_at, received_at, ended_at)
       SELECT CONCAT('${status} ', n), 'stock', 'order.created', ${version}, '${status}', 1, '[]', ${dueAt}, UTC_TIMESTAMP(6) - INTERVAL n + 1 MICROSECOND,
         CASE WHEN ${dueAt} IS NULL THEN UTC_TIMESTAMP(6) - INTERVAL n + 1 SECOND END
       FROM ${numbers(count)}`,
    );
  }

  /** Rows and index entries that this session has read. */
  async function readSoFar(): Promise<number> {
    const rows = await dataSource.query<{ Value: string }[]>("SHOW SESSION STATUS LIKE 'Handler_read%'");
    return rows.reduce((sum, { Value }) => sum + Number(Value), 0);
  }

  /** What the call reads, and by which indexes, without the tables' names; ALL is a whole table. */
  async function readsOf(
    call: () => Promise<unknown>,
  ): Promise<{ rows: number; indexes: string[]; sortsWhatItLocks: boolean }> {
    const before = await readSoFar();
    statements.length = 0;
    await call();
    const sent = statements.filter(({ sql }) => /^\(?(SELECT|UPDATE|DELETE)/.test(sql) && !sql.includes('@@'));
    const rows = (await readSoFar()) - before;
    const indexes = new Set<string>();
    let sortsWhatItLocks = false;
    for (const { sql, parameters } of sent) {
      const plan = await dataSource.query<Access[]>(`EXPLAIN FORMAT = TRADITIONAL ${sql}`, parameters);
      for (const { table, type, key, Extra } of plan) {
        if (table === null || type === null || table.startsWith('<')) continue;
        indexes.add(key?.replace(/^reliable_mq_/, '') ?? type);
        if (sql.includes('FOR UPDATE') && key !== 'PRIMARY' && Extra?.includes('filesort')) sortsWhatItLocks = true;
      }
    }
    return { rows, indexes: [...indexes].sort(), sortsWhatItLocks };
  }

  it.each<[string, () => Promise<unknown>, string[], number]>([
    [
      'claiming events, of which none is due',
      () => stores.outbox.claim('pending', upTo(500), 60_000, randomUUID()),
      ['PRIMARY', 'outbox_due'],
      50,
    ],
    [
      'claiming messages, of which none is due',
      () => stores.inbox.claim([QUEUE], 50, randomUUID(), 'others'),
      ['inbox_due'],
      50,
    ],
    ['looking for suspects', () => stores.inbox.queuesWithSuspects([QUEUE]), ['inbox_due'], 50],
    [
      'waking messages of a version that waits for another release',
      () => stores.inbox.wakeWaiting([QUEUE], 100),
      ['inbox_waiting'],
      50,
    ],
    ['pruning messages, of which none is old enough', () => stores.inbox.prune(72, 1000), ['inbox_ended'], 50],
    ['listing events', () => stores.operations.list({}), ['PRIMARY'], 1_000],
    ['listing consumed events', () => stores.operations.list({ status: 'consumed' }), ['PRIMARY', 'outbox_due'], 1_000],
    ['listing dead events', () => stores.operations.list({ status: 'dead' }), ['PRIMARY', 'outbox_due'], 1_000],
    [
      'listing those that need a person',
      () => stores.operations.deadEvents({ needPerson: true }, { order: 'oldestFirst', limit: 100 }),
      ['PRIMARY', 'outbox_due'],
      1_000,
    ],
    [
      'listing published events',
      () => stores.operations.list({ status: 'published' }),
      ['PRIMARY', 'outbox_due'],
      5_000,
    ],
    ['listing what is overdue', () => stores.operations.list({ overdue: true }), ['PRIMARY', 'outbox_due'], 1_000],
    ['listing by key', () => stores.operations.list({ key: 'order 7' }), ['PRIMARY', 'outbox_event_key'], 50],
    [
      'listing by cause',
      () => stores.operations.list({ causationId: randomUUID() }),
      ['PRIMARY', 'outbox_causation'],
      50,
    ],
    ['listing what is not handled', () => stores.operations.listInbox({}), ['PRIMARY', 'inbox_status'], 3_000],
    [
      'listing what is handled',
      () => stores.operations.listInbox({ status: 'handled' }),
      ['PRIMARY', 'inbox_status'],
      1_000,
    ],
    [
      'listing by the key of an event',
      () => stores.operations.listInbox({ key: 'order 7' }),
      ['PRIMARY', 'inbox_event_key'],
      50,
    ],
    ['listing of one event', () => stores.operations.listInbox({ eventId: 'handled 7' }), ['PRIMARY'], 50],
    ['finding what the inbox has handlings of', () => stores.operations.inboxKinds(), ['inbox_due'], 5_000],
    ['redriving', () => stores.operations.redrive(dead.slice(0, 10), false, AUDIT), ['PRIMARY'], 1_000],
    ['discarding', () => stores.operations.discard(dead.slice(10), AUDIT), ['PRIMARY'], 1_000],
    [
      'retrying',
      () => stores.operations.retryInbox([{ eventId: 'failed 7', consumer: 'stock' }], AUDIT),
      ['PRIMARY'],
      200,
    ],
  ])('%s reads an index, and no more of it than it needs', async (_what, call, indexes, most) => {
    const reads = await readsOf(call);
    expect(reads).toEqual({
      rows: expect.any(Number) as number,
      indexes: expect.any(Array) as string[],
      sortsWhatItLocks: false,
    });
    for (const index of reads.indexes) expect(indexes).toContain(index);
    expect(reads.rows).toBeLessThan(most);
  });

  it('a page behind another one is read from its place on', async () => {
    const [last] = (await stores.operations.listInbox({ status: 'handled', limit: 1_000 })).slice(-1);
    const page = (): Promise<unknown> =>
      stores.operations.listInbox({ status: 'handled', limit: 100, before: last?.cursor });
    expect((await readsOf(page)).rows).toBeLessThan(1_000);
  });

  it('statistics count no further than their bound', async () => {
    const { rows } = await readsOf(() => stores.operations.statistics());
    expect(rows).toBeLessThan(60_000);
    const { outbox, inbox } = await stores.operations.statistics();
    for (const { estimatedRows } of [outbox, inbox]) {
      expect(estimatedRows).toBeGreaterThan(ENDED * 0.6);
      expect(estimatedRows).toBeLessThan(ENDED * 1.6);
    }
  });

  it('claiming messages, all of which are due, reads as many as it takes', async () => {
    await database.query("UPDATE reliable_mq_inbox SET due_at = received_at WHERE status = 'failed'");
    const { rows, sortsWhatItLocks } = await readsOf(() => stores.inbox.claim([QUEUE], 50, randomUUID(), 'others'));
    expect(sortsWhatItLocks).toBe(false);
    expect(rows).toBeLessThan(1_000);
  });
});
