import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import type { EventFilter, InboxFilter } from '../../../libs/reliable-mq/src/database/operations.store';
import { HOUR_MS, operationsFixture, type OperationsHarness } from './operations-fixture';

export function describeLists(harness: () => OperationsHarness): void {
  const { operations, record, recordOne, report, dead, handlingOf, fail, handle } = operationsFixture(harness);

  async function ids(filter: EventFilter): Promise<string[]> {
    return (await operations().list(filter)).map(({ id }) => id);
  }

  async function eventIds(filter: InboxFilter): Promise<string[]> {
    return (await operations().listInbox(filter)).map(({ eventId }) => eventId);
  }

  describe('list', () => {
    it('has events newest first, whole and of each status, in pages', async () => {
      const pending = await record(2, { key: 'order 7', headers: { source: 'web' } });
      const published = await record(2);
      await report(published, 'mail', 'retrying');
      const consumed = await recordOne({ type: 'order.paid' });
      await report([consumed], 'stock', 'handled');
      const [given, compensating] = [await dead(2, true), await record(1)];
      await report(compensating, 'stock', 'dead');
      const dying = [...compensating, ...given.toReversed()];

      const all = [...dying, consumed, ...published.toReversed(), ...pending.toReversed()];
      expect(await ids({})).toEqual(all);
      expect(await ids({ limit: 3 })).toEqual(all.slice(0, 3));
      expect(await ids({ limit: 3, before: all[2] })).toEqual(all.slice(3, 6));
      expect(await ids({ status: 'pending' })).toEqual(pending.toReversed());
      expect(await ids({ status: 'published' })).toEqual(published.toReversed());
      expect(await ids({ status: 'consumed' })).toEqual([consumed]);
      expect(await ids({ status: 'dead' })).toEqual(dying);
      expect(await ids({ status: 'dead', limit: 1 })).toEqual(dying.slice(0, 1));
      expect(await ids({ status: 'dead', before: dying[1] })).toEqual(dying.slice(2));
      expect(await ids({ type: 'order.paid' })).toEqual([consumed]);
      expect(await ids({ type: 'order.paid', status: 'dead' })).toEqual([]);
      expect(await ids({ key: 'order 7', limit: 1 })).toEqual(pending.toReversed().slice(0, 1));
      expect(await ids({ key: 'order 7', status: 'dead' })).toEqual([]);

      expect(await operations().get(pending[0] as string)).toMatchObject({
        id: pending[0],
        type: 'order.created',
        version: 1,
        payload: { orderId: '7' },
        headers: { source: 'web' },
        status: 'pending',
        consumers: [],
        outcomes: [],
        history: [],
        attempts: 0,
        redrives: 0,
        reason: null,
        key: 'order 7',
        causationId: null,
        createdAt: expect.any(Date) as Date,
        dueAt: expect.any(Date) as Date,
        endedAt: null,
      });
      expect(await operations().get(given[0] as string)).toMatchObject({
        reason: 'stock dead: broken',
        outcomes: [{ consumer: 'stock', outcome: 'dead', reason: 'broken', at: expect.any(String) as string }],
        dueAt: null,
        compensatedAt: expect.any(Date) as Date,
      });
      expect(await operations().get(newEventId())).toBeUndefined();
    });

    it('has what is overdue', async () => {
      const [late] = await record(1);
      await harness().database.makeDue('outbox', 1000);
      await record(1);
      await dead(1, true);
      expect(await ids({ overdue: true })).toEqual([late]);
      expect(await ids({ overdue: true, status: 'pending' })).toEqual([late]);
      expect(await ids({ overdue: true, status: 'dead' })).toEqual([]);
    });

    it('has what an event has caused', async () => {
      const [cause, other] = [newEventId(), newEventId()];
      const caused = await record(3, { causationId: cause });
      const further = await recordOne({ causationId: other });
      expect(await ids({ causationId: cause })).toEqual(caused.toReversed());
      const causedBy = await operations().causedBy([cause, other], 10);
      expect(causedBy.map(({ id }) => id)).toEqual([...caused, further]);
      expect(await operations().causedBy([cause, other], 2)).toHaveLength(2);
      expect(causedBy[0]).toMatchObject({ causationId: cause });
      const found = await operations().eventsOf([further, newEventId(), caused[0] as string]);
      expect(found.map(({ id }) => id)).toEqual([caused[0], further]);
    });

    it('returns a thousand at once, whatever the limit says', async () => {
      const recorded = await record(1_003);
      const page = await ids({ limit: 5_000 });
      expect(page).toEqual(recorded.toReversed().slice(0, 1_000));
      expect(await ids({ limit: 5_000, before: page.at(-1) })).toEqual(recorded.slice(0, 3).toReversed());
    });
  });

  describe('listInbox', () => {
    it('has handlings newest first, whole and of each status', async () => {
      const failed = await fail(handlingOf());
      const waiting = await fail(handlingOf(), { waitMs: HOUR_MS }, { key: 'order 7' });
      const rejected = await fail(handlingOf(), { end: 'rejected' });
      const gone = await fail(handlingOf(undefined, 'mail', 'order.paid'), { end: 'dead' });
      const [handled] = await handle(1);

      const newestFirst = [gone, rejected, waiting, failed].map(({ eventId }) => eventId);
      expect(await eventIds({})).toEqual(newestFirst);
      expect(await eventIds({ consumer: 'stock', limit: 2 })).toEqual(newestFirst.slice(1, 3));
      expect(await eventIds({ type: 'order.paid' })).toEqual([gone.eventId]);
      for (const [status, key] of Object.entries({ failed, waiting, rejected, dead: gone, handled }))
        expect(await eventIds({ status: status as 'failed' })).toEqual([key?.eventId]);
      expect(await eventIds({ eventId: handled?.eventId })).toEqual([handled?.eventId]);
      expect(await eventIds({ eventId: handled?.eventId, status: 'dead' })).toEqual([]);
      expect(await eventIds({ key: 'order 7' })).toEqual([waiting.eventId]);
      const [record] = await operations().listInbox({ status: 'failed' });
      expect(record).toMatchObject({
        ...failed,
        version: 1,
        attempts: 1,
        unfinishedStarts: 0,
        reason: 'it broke',
        history: [{ attempt: 1, reason: 'it broke', at: expect.any(String) as string }],
        body: Buffer.from('{}'),
        properties: {},
        key: null,
        receivedAt: expect.any(Date) as Date,
        dueAt: expect.any(Date) as Date,
        endedAt: null,
      });
    });

    it('pages through everything once, also what came at the same moment, whatever comes meanwhile', async () => {
      const keys = await handle(250);
      const seen: string[] = [];
      let before: string | undefined;
      do {
        const page = await operations().listInbox({ status: 'handled', limit: 70, ...(before ? { before } : {}) });
        seen.push(...page.map(({ eventId }) => eventId));
        before = page.at(-1)?.cursor;
        if (seen.length < 250) await handle(5);
      } while (before);
      expect(seen).toHaveLength(250);
      expect(new Set(seen)).toEqual(new Set(keys.map(({ eventId }) => eventId)));
    });

    it('returns a thousand at once, and the last one leads to the rest', async () => {
      await handle(1_003);
      const page = await operations().listInbox({ status: 'handled', limit: 5_000 });
      expect(page).toHaveLength(1_000);
      const before = page.at(-1)?.cursor ?? '';
      expect(await eventIds({ status: 'handled', limit: 5_000, before })).toHaveLength(3);
    });
  });

  it('handlings are found by their events, and by key, the first ones first', async () => {
    const first = await fail(handlingOf(), { end: 'dead' }, { key: 'order 7' });
    const second = await fail({ ...first, consumer: 'mail' }, undefined, { key: 'order 7' });
    const third = await fail(handlingOf(), undefined, { key: 'order 8' });
    const of = await operations().handlingsOf([third.eventId, first.eventId], 10);
    expect(of.map(({ consumer, eventId }) => [eventId, consumer])).toEqual(
      [first, second, third].map(({ consumer, eventId }) => [eventId, consumer]),
    );
    expect(await operations().handlingsOf([third.eventId, first.eventId], 2)).toHaveLength(2);
    expect(await operations().listHandlings('order 7', 10)).toMatchObject([first, second]);
    expect(of[0]).not.toHaveProperty('body');
  });
}
