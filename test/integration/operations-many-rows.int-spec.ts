import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EventOperations, type InboxRecord } from 'nestjs-reliable-mq';
import { TestApp } from '../support/test-app';

const ROOT = join(__dirname, '../..');

describe('EventOperations after an incident', () => {
  let app: TestApp;
  let operations: EventOperations;

  beforeAll(async () => {
    app = await TestApp.start({ reliableMq: { compensation: { enabled: false } } });
    operations = app.get(EventOperations);
    for (const table of ['reliable_mq_outbox', 'reliable_mq_inbox']) {
      await app.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
    }
  });
  afterAll(() => app.dispose());
  beforeEach(() => app.database.empty('reliable_mq_outbox', 'reliable_mq_inbox'));

  async function fillOutbox(count: number, columns: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = { status: "'dead'", due_at: 'NULL', consumers: "'[]'", confirm: 'true', attempts: '1', ...columns };
    await app.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, ${Object.keys(all).join(', ')})
       SELECT gen_random_uuid(), 'order.created', 1, '{}', ${Object.values(all).join(', ')} FROM generate_series(1, ${count})`,
    );
  }

  /** Some of them came at the same moment. */
  async function fillInbox(count: number, from: string): Promise<void> {
    await app.query(
      `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, ended_at, received_at)
       SELECT gen_random_uuid()::text, 'stock', 'order.created', 1, 'dead', 10, now(), ${from} - (n / 7) * interval '1 microsecond'
       FROM generate_series(1, ${count}) AS n`,
    );
  }

  it('pages through everything in the inbox once, whatever comes meanwhile', async () => {
    await fillInbox(2_500, 'now()');
    const expected = await app.query<{ event_id: string }>('SELECT event_id FROM reliable_mq_inbox');
    const seen: string[] = [];
    let page: readonly InboxRecord[] = [];
    do {
      page = await operations.listInbox({ status: 'dead', limit: 700, before: page.at(-1)?.cursor });
      seen.push(...page.map(({ eventId }) => eventId));
      await fillInbox(20, "now() + interval '1 hour'");
    } while (page.length > 0);
    expect(seen).toHaveLength(2_500);
    expect(new Set(seen)).toEqual(new Set(expected.map((row) => row.event_id)));
  });

  it('returns a thousand at once, whatever the limit says, and the last one leads to the rest', async () => {
    await fillInbox(1_003, 'now()');
    await fillOutbox(1_003);
    const handlings = await operations.listInbox({ status: 'dead', limit: 5_000 });
    expect(handlings).toHaveLength(1_000);
    expect(await operations.listInbox({ status: 'dead', limit: 5_000, before: handlings.at(-1)?.cursor })).toHaveLength(
      3,
    );
    const events = await operations.list({ status: 'dead', limit: 5_000 });
    expect(events).toHaveLength(1_000);
    expect(await operations.list({ status: 'dead', limit: 5_000, before: events.at(-1)?.id })).toHaveLength(3);
  });

  it('redrives, tries again and discards as many as it is given', async () => {
    await fillOutbox(12_345);
    await fillInbox(2_345, 'now()');
    const ids = (await app.query<{ id: string }>('SELECT id FROM reliable_mq_outbox')).map(({ id }) => id);
    const half = ids.slice(0, 6_000);
    expect(new Set(await operations.redrive(half))).toEqual(new Set(half));
    expect(await operations.discard(ids)).toHaveLength(6_345);
    const keys = await app.query<{ eventId: string; consumer: string }>(
      'SELECT event_id AS "eventId", consumer FROM reliable_mq_inbox',
    );
    expect(await operations.retryInbox(keys)).toBe(2_345);
  });

  it('counts apart what needs a person, and what was undone', async () => {
    await fillOutbox(3);
    await fillOutbox(4, { compensated_at: 'now()' });
    await fillOutbox(5, { due_at: "now() + interval '1 hour'" });
    expect((await operations.statistics()).outbox).toMatchObject({
      dead: 12,
      needPerson: 3,
      compensated: 4,
      compensating: 5,
    });
  });

  it('estimates how many rows there are, also where nobody has counted them yet, and counts few', async () => {
    const rows = async (): Promise<number> => (await operations.statistics()).outbox.estimatedRows;
    expect(await rows()).toBe(0);
    await fillOutbox(321, { status: "'consumed'" });
    expect(await rows()).toBe(321);

    await fillOutbox(100_000, { status: "'consumed'" });
    const near = (actual: number): void => {
      expect(actual).toBeGreaterThan(80_000);
      expect(actual).toBeLessThan(120_000);
    };
    near(await rows());
    await app.query('ANALYZE reliable_mq_outbox');
    near(await rows());
    await app.query('DELETE FROM reliable_mq_outbox');
    await app.query('VACUUM reliable_mq_outbox');
    expect(await rows()).toBe(0);
  });

  it.each(['docs/production.md', 'docs/zh-CN/production.md'])(
    'is told by the SQL of %s who still owes what, and why',
    async (page) => {
      const text = readFileSync(join(ROOT, page), 'utf8');
      const [, sql = ''] = /-- (?:What do consumers still owe|消费方还欠什么)[^\n]*\n([^;]+);/.exec(text) ?? [];
      const published = { status: "'published'", due_at: "now() + interval '1 minute'" };
      const declared = { ...published, consumers: `'["stock", "mail"]'` };
      const retrying = `{"stock": {"outcome": "handled", "reason": null}, "mail": {"outcome": "retrying", "reason": "no such address"}}`;
      await fillOutbox(2, { ...declared, outcomes: `'${retrying}'` });
      await fillOutbox(1, {
        ...declared,
        reason: "'its consumer is behind: 12 messages wait in queue mail.order.created'",
      });
      await fillOutbox(3, published);
      const found = await app.query<{ consumer: string; reason: string | null; count: string }>(sql);
      expect(found.map(({ consumer, reason, count }) => [consumer, reason, Number(count)])).toEqual(
        expect.arrayContaining([
          ['mail', 'no such address', 2],
          ['mail', 'its consumer is behind: n messages wait in queue mail.order.created', 1],
          ['stock', 'its consumer is behind: n messages wait in queue mail.order.created', 1],
          ['any', null, 3],
        ]),
      );
      expect(found).toHaveLength(4);
    },
  );
});
