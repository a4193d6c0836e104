import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { migrateSchema } from '../../libs/reliable-mq/src/database/postgres/schema-migrator';
import type { DeadFilter, FailedFilter } from '../../libs/reliable-mq/src/database/failures';
import { PostgresOperationsStore } from '../../libs/reliable-mq/src/database/postgres/postgres-operations.store';
import type { Claim } from '../../libs/reliable-mq/src/outbox/outbox.store';
import { PostgresOutboxStore } from '../../libs/reliable-mq/src/database/postgres/postgres-outbox.store';
import { upTo } from './claim-limit';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { ExplainedStatements, type PlanNode } from '../support/explained-statements';

const DUE = 'reliable_mq_outbox_due';
const DEAD = 'reliable_mq_outbox_dead';
const KEY = 'reliable_mq_outbox_event_key';
const CAUSATION = 'reliable_mq_outbox_causation';
const PERSON = 'reliable_mq_outbox_person';
const PRIMARY = 'reliable_mq_outbox_pkey';
const INBOX_DUE = 'reliable_mq_inbox_due';
const INBOX_ENDED = 'reliable_mq_inbox_ended';
const INBOX_GIVEN_UP = 'reliable_mq_inbox_given_up';
const INBOX_KEY = 'reliable_mq_inbox_event_key';
const INBOX_PRIMARY = 'reliable_mq_inbox_pkey';

describe('The plans of PostgreSQL over tables of many ended events and messages', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let outbox: PostgresOutboxStore;
  let operations: PostgresOperationsStore;
  let explained: ExplainedStatements;
  let unfinished: string[];

  beforeAll(async () => {
    database = await createTestDatabase();
    dataSource = new DataSource({ type: 'postgres', url: database.url });
    await dataSource.initialize();
    await migrateSchema(dataSource);
    await fill(100_000, 'consumed', 'NULL', "interval '10 hours'");
    await fill(300, 'pending', "now() + n * interval '1 second'", "interval '10 seconds'");
    await fill(500, 'published', "now() + n * interval '1 second'", "interval '20 seconds'");
    await fill(20, 'dead', 'NULL', "interval '9 hours'");
    await dataSource.query(
      `UPDATE reliable_mq_outbox SET event_key = 'order ' || (random() * 30000)::int, causation_id = gen_random_uuid() WHERE random() < 0.9`,
    );
    await dataSource.query('VACUUM ANALYZE reliable_mq_outbox');
    await dataSource.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at, event_key)
       SELECT 'event ' || n, 'stock', 'order.created', 1, 'handled', 1, now(), 'order ' || n / 3 FROM generate_series(1, 50000) AS n`,
    );
    await dataSource.query('VACUUM ANALYZE reliable_mq_inbox');
    explained = new ExplainedStatements(dataSource);
    outbox = new PostgresOutboxStore(dataSource);
    operations = new PostgresOperationsStore(dataSource);
    const rows = await dataSource.query<{ id: string }[]>(
      `SELECT id FROM reliable_mq_outbox WHERE status IN ('pending', 'published', 'dead')`,
    );
    unfinished = rows.map(({ id }) => id);
  }, 60_000);

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  async function fill(
    count: number,
    status: string,
    dueAt: string,
    age: string,
    payload = `'{"orderId": "some order"}'::json`,
  ): Promise<void> {
    await dataSource.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, due_at, ended_at)
       SELECT (lpad(to_hex((extract(epoch FROM now() - ${age}) * 1000)::bigint + n), 12, '0') || '7' || substr(md5(random()::text), 1, 19))::uuid,
         'order.created', 1, ${payload}, '[]', true, '${status}', 1, ${dueAt},
         CASE WHEN '${status}' IN ('consumed', 'dead') THEN now() - ${age} END
       FROM generate_series(1, ${count}) AS n`,
    );
  }

  /** How the tables are read by the statements that the call makes: names of indexes, or `Seq Scan`. */
  async function accessPaths(call: () => Promise<unknown>): Promise<Set<string>> {
    return new Set((await scans(call)).map((node) => node['Index Name'] ?? 'Seq Scan'));
  }

  async function scans(call: () => Promise<unknown>): Promise<PlanNode[]> {
    return (await explained.plansOf(call, 'FORMAT JSON')).flatMap(scansIn);
  }

  function scansIn(node: PlanNode): PlanNode[] {
    const own =
      node['Index Name']?.startsWith('reliable_mq_') === true ||
      (node['Relation Name']?.startsWith('reliable_mq_') === true && // Has a row for each queue that is paused.
        node['Relation Name'] !== 'reliable_mq_paused' &&
        node['Node Type'].endsWith('Seq Scan'));
    return [...(own ? [node] : []), ...(node.Plans ?? []).flatMap(scansIn)];
  }

  it.each(['pending', 'published', 'dead'] as const)('claiming %s rows reads the index of due rows', async (status) => {
    expect(await accessPaths(() => outbox.claim(status, upTo(500), 60_000, randomUUID()))).toEqual(
      new Set([DUE, PRIMARY]),
    );
  });

  it.each([{ dueFrom: '2026-01-01' }, { dueWithinMs: 60_000 }, undefined])(
    'claiming reads of the index only what is due, and in the range %j',
    async (range) => {
      const claim = (): Promise<unknown> => outbox.claim('pending', upTo(500), 60_000, randomUUID(), range);
      const due = (await scans(claim)).find((node) => node['Index Name'] === DUE);
      expect(due?.['Index Cond']).toMatch(/status.*due_at <= statement_timestamp\(\).*due_at >= /);
      expect(due?.Filter).toBeUndefined();
    },
  );

  it('claiming a backlog that came after the last ANALYZE reads the index of due rows, analyzed or not', async () => {
    await fill(30_000, 'pending', "now() - n * interval '1 millisecond'", "interval '5 seconds'");
    const { lastDueAt } = await outbox.claim('pending', upTo(500), 60_000, randomUUID());
    const claim = (): Promise<unknown> =>
      outbox.claim('pending', upTo(500), 60_000, randomUUID(), { dueFrom: lastDueAt ?? '' });
    expect(await accessPaths(claim)).toEqual(new Set([DUE, PRIMARY]));
    await dataSource.query('ANALYZE reliable_mq_outbox');
    expect(await accessPaths(claim)).toEqual(new Set([DUE, PRIMARY]));
  });

  it.each([1, 500])('settling %s rows reads the primary key', async (count) => {
    const settlements = unfinished
      .slice(0, count)
      .map((id) => ({ id, token: randomUUID(), result: 'published' as const, delayMs: 1, reason: null }));
    expect(await accessPaths(() => outbox.settle(settlements))).toEqual(new Set([PRIMARY]));
  });

  it.each([1, 500])('applying %s receipts reads the primary key, and the index of dead rows', async (count) => {
    const receipts = unfinished.slice(0, count).map((eventId) => ({
      eventId,
      consumer: 'stock',
      outcome: 'retrying' as const,
      reason: null,
      retryAfterMs: 1,
      redrives: 0,
    }));
    const paths = await accessPaths(() => outbox.applyReceipts(receipts));
    expect(paths).not.toContain('Seq Scan');
    expect(paths).toContain(PRIMARY);
  });

  it.each([
    ['nothing is old enough', 72],
    ['everything is', 5],
  ])('pruning walks the primary key when %s', async (_what, hours) => {
    expect(await accessPaths(() => outbox.prune(hours, 1000))).toEqual(new Set([PRIMARY]));
  });

  it('statistics count on the partial indexes', async () => {
    expect(await accessPaths(() => operations.statistics())).toEqual(
      new Set([DUE, DEAD, PERSON, INBOX_DUE, INBOX_GIVEN_UP]),
    );
  });

  it.each([
    ['everything', {}, PRIMARY],
    ['a page', { before: '0f000000-0000-7000-8000-000000000000' }, PRIMARY],
    ['consumed events', { status: 'consumed' }, PRIMARY],
    ['dead events', { status: 'dead' }, DEAD],
    ['dead events of one type', { status: 'dead', type: 'order.cancelled' }, DEAD],
    ['events that need a person', { needPerson: true }, PERSON],
    ['published events', { status: 'published' }, DUE],
    ['overdue events', { overdue: true, type: 'order.cancelled' }, DUE],
    ['events of a key', { key: 'order 7' }, KEY],
    ['a page of events of a key', { key: 'order 7', before: '0f000000-0000-7000-8000-000000000000' }, KEY],
    ['events of a cause', { causationId: '0f000000-0000-7000-8000-000000000000' }, CAUSATION],
  ] as const)('listing %s reads an index', async (_what, filter, index) => {
    expect(await accessPaths(() => operations.list(filter))).toEqual(new Set([index]));
  });

  it.each([
    ['whatever is not handled', {}, [INBOX_DUE, INBOX_GIVEN_UP]],
    ['whatever of one consumer is not handled', { consumer: 'stock' }, [INBOX_DUE, INBOX_GIVEN_UP]],
    ['what is given up', { status: 'dead' }, [INBOX_GIVEN_UP]],
    ['what is retried', { status: 'failed' }, [INBOX_DUE]],
    ['one event', { eventId: 'event 7' }, [INBOX_PRIMARY]],
    ['one key', { key: 'order 7' }, [INBOX_KEY]],
  ] as const)('listing %s of the inbox reads an index', async (_what, filter, indexes) => {
    expect(await accessPaths(() => operations.listInbox(filter))).toEqual(new Set(indexes));
  });

  it.each(['oldestFirst', 'newestFirst'] as const)('reading what has failed, %s, reads indexes', async (order) => {
    const page = { order, behind: '0f000000-0000-7000-8000-000000000000', limit: 500 };
    const dead = (filter: DeadFilter) => accessPaths(() => operations.deadEvents(filter, page));
    for (const filter of [{}, { archived: true }, { type: 'order.cancelled' }])
      expect([DEAD, PERSON]).toEqual(expect.arrayContaining([...(await dead(filter))]));
    expect(await dead({ needPerson: true })).toEqual(new Set([PERSON]));
    const failed = (filter: FailedFilter) =>
      accessPaths(() => operations.failedHandlings(filter, { order, limit: 500 }));
    expect(await failed({})).toEqual(new Set([INBOX_DUE, INBOX_GIVEN_UP]));
    expect(await failed({ status: 'dead' })).toEqual(new Set([INBOX_GIVEN_UP]));
    expect(await failed({ status: 'waiting', consumer: 'stock' })).not.toContain('Seq Scan');
  });

  it('finding a journey reads indexes', async () => {
    const ids = unfinished.slice(0, 50);
    expect(await accessPaths(() => operations.eventsOf(ids))).toEqual(new Set([PRIMARY]));
    expect(await accessPaths(() => operations.causedBy(ids, 200))).toEqual(new Set([CAUSATION]));
    expect(await accessPaths(() => operations.handlingsOf(ids, 400))).toEqual(new Set([INBOX_PRIMARY]));
    expect(await accessPaths(() => operations.listHandlings('order 7', 400))).toEqual(new Set([INBOX_KEY]));
  });

  it('finding what the inbox has handlings of reads the index of unfinished rows, and the end of that of ended ones', async () => {
    expect(await accessPaths(() => operations.inboxKinds())).toEqual(new Set([INBOX_DUE, INBOX_ENDED]));
  });

  it('redriving, archiving and discarding read no table', async () => {
    const ids = unfinished.slice(-20);
    const audit = { operation: 'redrive', runId: randomUUID(), by: 'anna', why: null, filter: null } as const;
    expect(await accessPaths(() => operations.archive(ids, audit))).not.toContain('Seq Scan');
    expect(await accessPaths(() => operations.redrive(ids, false, audit))).not.toContain('Seq Scan');
    expect(await accessPaths(() => operations.discard(ids, audit))).not.toContain('Seq Scan');
  });

  it('claiming reads no payloads but of the rows that fit its bytes', async () => {
    const incompressible = `(SELECT to_json(string_agg(encode(sha256(n::text::bytea), 'base64'), '')) FROM generate_series(1, 23000) AS n)`;
    await fill(
      40,
      'pending',
      "now() - interval '1 day' + n * interval '1 second'",
      "interval '4 seconds'",
      incompressible,
    );
    const claim = (): Promise<Claim> => outbox.claim('pending', { rows: 30, bytes: 1_500_000 }, 60_000, randomUUID());
    expect((await claim()).events).toHaveLength(2);
    const plans = await explained.plansOf(claim, 'ANALYZE, BUFFERS, FORMAT JSON');
    const buffers = plans.reduce(
      (sum, plan) => sum + (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0),
      0,
    );
    expect(buffers).toBeLessThan((await pagesOfPayloads()) / 4);
  });

  /** Those that are stored out of line. */
  async function pagesOfPayloads(): Promise<number> {
    const [toast] = await dataSource.query<{ pages: number }[]>(
      `SELECT (pg_relation_size(reltoastrelid) / current_setting('block_size')::int)::int AS pages
       FROM pg_class WHERE oid = 'reliable_mq_outbox'::regclass`,
    );
    return toast?.pages ?? 0;
  }
});
