import { Injectable } from '@nestjs/common';
import { IsString } from 'class-validator';
import {
  EventOperations,
  EventRecorder,
  MemoryBroker,
  Operations,
  ReliableEvent,
  ReliableEventHandler,
  ReliableMqHealth,
} from 'nestjs-reliable-mq';
import { createTestDatabase, type TestDatabase } from '../support/database';
import { deferred } from '../support/deferred';
import { eventually } from '../support/eventually';
import { QUICK, TestApp } from '../support/test-app';

@ReliableEvent({ type: 'thing.made', key: ({ name }: ThingMade) => name })
class ThingMade {
  @IsString() name!: string;
}

@Injectable()
class Things {
  readonly handled: string[] = [];
  onHandle: (name: string) => unknown = () => undefined;

  constructor(readonly events: EventRecorder) {}

  make(name: string): Promise<string> {
    return this.events.transaction(() => this.events.record(Object.assign(new ThingMade(), { name })));
  }

  @ReliableEventHandler(ThingMade)
  async handle({ name }: ThingMade): Promise<void> {
    await this.onHandle(name);
    this.handled.push(name);
  }
}

let made = 0;
/** Greater than those before, and lower than those of events that are recorded. */
function newId(): string {
  made += 1;
  return `01900000-0000-7000-8000-${made.toString(16).padStart(12, '0')}`;
}

const ANNA = { by: 'anna', why: 'the stock was down' };

describe('the operations of a person on call', () => {
  let database: TestDatabase;
  let broker: MemoryBroker;
  const apps: TestApp[] = [];
  let app: TestApp;
  let operations: Operations;

  beforeEach(async () => {
    database = await createTestDatabase();
    broker = new MemoryBroker();
    app = await start();
    operations = app.get(EventOperations).on();
  });
  afterEach(async () => {
    for (const each of apps.splice(0)) await each.close();
    await database.drop();
  });

  async function start(): Promise<TestApp> {
    const started = await TestApp.start({
      database,
      broker,
      providers: [Things],
      reliableMq: { ...QUICK, consume: { maxAttempts: 1 } },
    });
    apps.push(started);
    return started;
  }

  /** Dead events as they are long after: nobody undoes them. */
  async function dead(count: number, values: Readonly<Record<string, unknown>> = {}): Promise<string[]> {
    const ids = Array.from({ length: count }, newId);
    const row = { type: 'thing.lost', reason: 'stock dead: Error: thing 1 is lost', event_key: null, ...values };
    await app.query(
      `INSERT INTO reliable_mq_outbox (id, type, version, payload, consumers, confirm, status, attempts, ended_at, reason, event_key, compensated_at)
       SELECT id, $2, 1, '{}', '["stock"]', true, 'dead', 1, clock_timestamp(), $3, $4, $5::timestamptz FROM unnest($1::uuid[]) AS id`,
      [ids, row.type, row.reason, row.event_key, (values['compensated_at'] as string | undefined) ?? null],
    );
    return ids;
  }

  const audit = async () =>
    (await operations.audit()).map(({ operation, by, why, filter, items, count }) => ({
      operation,
      by,
      why,
      filter,
      items,
      count,
    }));
  const deadIds = async (): Promise<string[]> =>
    (await app.query<{ id: string }>(`SELECT id FROM reliable_mq_outbox WHERE status = 'dead' ORDER BY id`)).map(
      ({ id }) => id,
    );

  describe('on events', () => {
    it('by filter: a dry run says how many and which first, and changes nothing', async () => {
      const ids = await dead(12);
      await dead(3, { type: 'thing.other' });
      const result = await operations.redrive({ type: 'thing.lost' }, { ...ANNA, dryRun: true });
      expect(result).toEqual({ runId: expect.any(String) as string, matched: 12, first: ids.slice(0, 10), done: 0 });
      expect(await deadIds()).toHaveLength(15);
      expect(await audit()).toEqual([]);
      const some = await operations.discard({ ids: [ids[0]!, newId()] }, { ...ANNA, dryRun: true });
      expect(some).toMatchObject({ matched: 1, first: [ids[0]], done: 0 });
    });

    it('by filter: all that match are changed in bounded parts, each with its row in the audit', async () => {
      const ids = await dead(1_201);
      const others = await dead(2, { type: 'thing.other' });
      const undone = await dead(2, { compensated_at: '2026-01-01' });
      const result = await operations.redrive({ type: 'thing.lost' }, ANNA);
      expect(result).toMatchObject({ matched: 1_201, first: ids.slice(0, 10), done: 1_201 });
      expect(await deadIds()).toEqual([...others, ...undone]);
      const entries = await operations.audit();
      expect(entries.map(({ count }) => count)).toEqual([201, 500, 500]);
      expect(new Set(entries.map(({ runId }) => runId))).toEqual(new Set([result.runId]));
      expect(entries.flatMap(({ items }) => items).sort()).toEqual(ids);
      expect(entries[0]).toMatchObject({
        operation: 'redrive',
        ...ANNA,
        filter: { type: 'thing.lost' },
        at: expect.any(Date) as Date,
      });
      expect(await operations.audit(entries[1]?.id)).toEqual([entries[2]]);
      expect(
        await operations.redrive({ type: 'thing.lost', archived: false }, { ...ANNA, evenIfCompensated: true }),
      ).toMatchObject({ done: 2 });
    });

    it('at a rate, until they are stopped', async () => {
      const ids = await dead(9);
      const stop = new AbortController();
      const running = operations.archive({}, { ...ANNA, perSecond: 2, signal: stop.signal });
      await eventually(async () => expect((await audit()).length).toBeGreaterThan(0));
      stop.abort();
      const { done } = await running;
      expect(done).toBeLessThan(9);
      expect(await operations.archive({}, { ...ANNA, perSecond: 1_000 })).toMatchObject({ done: 9 - done });
      expect((await audit()).flatMap(({ items }) => items).sort()).toEqual(ids);
    });

    it('archived ones need no person, are out of what matches, and come back when they are redriven', async () => {
      const [first, second] = (await dead(2)) as [string, string];
      const needPerson = async () => (await app.get(EventOperations).statistics()).outbox.needPerson;
      expect(await needPerson()).toBe(2);
      expect(await operations.archive({ ids: [first] }, ANNA)).toMatchObject({ done: 1 });
      expect(await operations.archive({ ids: [first] }, ANNA)).toMatchObject({ done: 0 });
      expect(await needPerson()).toBe(1);
      expect((await app.get(EventOperations).list({ needPerson: true })).map(({ id }) => id)).toEqual([second]);
      expect(await operations.show(first)).toMatchObject({ status: 'dead', archivedAt: expect.any(Date) as Date });
      expect(await operations.discard({}, { ...ANNA, dryRun: true })).toMatchObject({ first: [second] });
      expect(await operations.discard({ archived: true }, { ...ANNA, dryRun: true })).toMatchObject({ first: [first] });
      await operations.redrive({ ids: [first] }, { by: 'bert' });
      expect(await operations.show(first)).toMatchObject({ archivedAt: null });
      expect(await audit()).toEqual([
        { operation: 'redrive', by: 'bert', why: null, filter: null, items: [first], count: 1 },
        { operation: 'archive', ...ANNA, filter: null, items: [first], count: 1 },
      ]);
    });

    it('are grouped by what they failed of, and redriven by group', async () => {
      const ids = await dead(3, { reason: 'stock dead: TypeError: order 7 has no sku "a"', type: 'thing.a' });
      const more = await dead(2, { reason: 'stock dead: TypeError: order 12 has no sku "b"', type: 'thing.b' });
      await dead(4);
      const { groups, isCut } = await operations.deadGroups();
      expect(isCut).toBe(false);
      expect(groups).toMatchObject([
        {
          count: 5,
          text: 'stock dead: TypeError: order <n> has no sku <text>',
          types: ['thing.b', 'thing.a'],
          example: { eventId: more[1], reason: 'stock dead: TypeError: order 12 has no sku "b"' },
        },
        { count: 4, text: 'stock dead: Error: thing <n> is lost' },
      ]);
      expect(groups[0]!.firstSeen.getTime()).toBeLessThanOrEqual(groups[0]!.lastSeen.getTime());
      const { fingerprint } = groups[0]!;
      expect(await operations.redrive({ fingerprint }, ANNA)).toMatchObject({ done: 5, first: [...ids, ...more] });
      expect((await audit())[0]).toMatchObject({ filter: { fingerprint } });
    });

    it.each([
      ['nobody', {}, { by: '' }, 'by must be a text, not "".'],
      ['too much', {}, { by: 'x'.repeat(201) }, 'by has more than 200 characters.'],
      ['no rate', {}, { by: 'a', perSecond: 0 }, 'perSecond must be a number above 0, not 0.'],
      ['a word for a flag', {}, { by: 'a', dryRun: 'no' }, 'dryRun must be true or false, not "no".'],
      ['a misspelt filter', { tpye: 'a' }, { by: 'a' }, 'filter "tpye" is unknown; did you mean "type"?'],
      ['no id', { ids: ['7'] }, { by: 'a' }, 'eventIds holds what is no event id'],
      ['no fingerprint', { fingerprint: 'x' }, { by: 'a' }, 'fingerprint must be the fingerprint of a group'],
    ])('are refused with %s', async (_what, selection, options, problem) => {
      await expect(operations.discard(selection as never, options as never)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining(problem) as string,
      });
    });

    it('leave a row in the audit however they are called, and none without the change', async () => {
      const [id] = (await dead(1)) as [string];
      await app.query('ALTER TABLE reliable_mq_audit RENAME TO away');
      await expect(app.get(EventOperations).redrive([id])).rejects.toThrow('reliable_mq_audit');
      await app.query('ALTER TABLE away RENAME TO reliable_mq_audit');
      expect(await deadIds()).toEqual([id]);
      expect(await app.get(EventOperations).discard([id, newId()], { why: 'a test' })).toEqual([id]);
      expect(await app.get(EventOperations).discard([id])).toEqual([]);
      expect(await audit()).toEqual([
        { operation: 'discard', by: 'EventOperations', why: 'a test', filter: null, items: [id], count: 1 },
      ]);
    });
  });

  describe('on handlings', () => {
    it('by filter and by group: they are tried again', async () => {
      const things = app.get(Things);
      things.onHandle = (name) => {
        throw new Error(`no room for ${name === 'a' ? '"a"' : '12 things'}`);
      };
      for (const name of ['a', 'b', 'c']) await things.make(name);
      await eventually(async () =>
        expect((await operations.failedGroups({ status: 'dead' })).groups).toMatchObject([
          { count: 2, types: ['thing.made'] },
          { count: 1, text: expect.stringContaining('no room for <text>') as string },
        ]),
      );
      things.onHandle = () => undefined;
      const { groups } = await operations.failedGroups();
      const { fingerprint } = groups[1]!;
      const selection = { fingerprint, consumer: 'shop', status: 'dead' } as const;
      expect(await operations.retry(selection, { ...ANNA, dryRun: true })).toMatchObject({ matched: 1, done: 0 });
      const { done, first } = await operations.retry(selection, ANNA);
      expect(done).toBe(1);
      await eventually(() => expect(things.handled).toEqual(['a']));
      expect(await audit()).toEqual([{ operation: 'retry', ...ANNA, filter: selection, items: first, count: 1 }]);
      const keys = (await app.get(EventOperations).listInbox()).map(({ eventId, consumer }) => ({ eventId, consumer }));
      expect(await operations.retry({ keys: [...keys, ...first] }, { ...ANNA, dryRun: true })).toMatchObject({
        matched: 2,
      });
      expect(await operations.retry({ keys }, ANNA)).toMatchObject({ done: 2 });
      await eventually(() => expect([...things.handled].sort()).toEqual(['a', 'b', 'c']));
    });
  });

  describe('on queues', () => {
    const QUEUE = { consumer: 'shop', type: 'thing.made' };

    it('a paused one is left alone by every instance, also by one that starts, until it is resumed', async () => {
      const others = await start();
      const things = [app.get(Things), others.get(Things)];
      expect(await operations.pause(QUEUE, ANNA)).toBe(true);
      expect(await operations.pause(QUEUE, { by: 'bert' })).toBe(false);
      for (const each of [app, others])
        await eventually(async () =>
          expect(await each.get(ReliableMqHealth).check()).toEqual({
            healthy: true,
            status: 'up',
            reasons: [],
            paused: ['shop.thing.made'],
          }),
        );
      const late = await start();
      things.push(late.get(Things));
      expect(await late.get(ReliableMqHealth).check()).toMatchObject({ paused: ['shop.thing.made'] });
      expect((await app.get(EventOperations).statistics()).inbox.paused).toEqual([
        { ...QUEUE, ...ANNA, since: expect.any(Date) as Date },
      ]);

      const id = await app.get(Things).make('a');
      await eventually(() => expect(broker.messages('shop.thing.made')).toHaveLength(1));
      // What the inbox has is not retried either.
      await app.query(
        `INSERT INTO reliable_mq_inbox (event_id, consumer, type, version, status, attempts, due_at, body, properties)
         VALUES ('kept', 'shop', 'thing.made', 1, 'failed', 1, now(), '{"name":"kept"}', '{}')`,
      );
      for (const each of [app, others, late])
        await each
          .get(EventOperations)
          .on()
          .retry({ keys: [{ eventId: 'kept', consumer: 'shop' }] }, ANNA);
      expect(things.flatMap(({ handled }) => handled)).toEqual([]);

      expect(await operations.resume(QUEUE, { by: 'bert' })).toBe(true);
      expect(await operations.resume(QUEUE, { by: 'bert' })).toBe(false);
      await eventually(() => expect(things.flatMap(({ handled }) => handled).sort()).toEqual(['a', 'kept']));
      for (const each of [app, others, late])
        await eventually(async () =>
          expect(await each.get(ReliableMqHealth).check()).toEqual({ healthy: true, status: 'up', reasons: [] }),
        );
      await eventually(async () => expect(await operations.show(id)).toMatchObject({ status: 'consumed' }));
      expect((await audit()).filter(({ operation }) => operation !== 'retry')).toEqual([
        { operation: 'resume', by: 'bert', why: null, filter: null, items: [QUEUE], count: 1 },
        { operation: 'pause', ...ANNA, filter: null, items: [QUEUE], count: 1 },
      ]);
    });

    it('what is in hand when one is paused goes on', async () => {
      const things = app.get(Things);
      const gate = deferred<undefined>();
      things.onHandle = () => gate.promise;
      const id = await things.make('in hand');
      await eventually(async () => expect(await operations.show(id)).toMatchObject({ status: 'published' }));
      await operations.pause(QUEUE, ANNA);
      await eventually(async () => expect(await app.get(ReliableMqHealth).check()).toHaveProperty('paused'));
      gate.resolve(undefined);
      await eventually(async () => expect(await operations.show(id)).toMatchObject({ status: 'consumed' }));
    });
  });
});
