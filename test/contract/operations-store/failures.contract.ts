import type { DeadFilter, FailedFilter, Page } from '../../../libs/reliable-mq/src/database/failures';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { auditOf, HOUR_MS, operationsFixture, type OperationsHarness } from './operations-fixture';

export function describeFailures(harness: () => OperationsHarness): void {
  const { operations, record, report, dead, handlingOf, fail, handle } = operationsFixture(harness);

  async function deadIds(filter: DeadFilter = {}, page: Partial<Page> = {}): Promise<string[]> {
    const found = await operations().deadEvents(filter, { order: 'oldestFirst', limit: 100, ...page });
    return found.map(({ id }) => id);
  }

  async function failedIds(filter: FailedFilter = {}, page: Partial<Page> = {}): Promise<string[]> {
    const found = await operations().failedHandlings(filter, { order: 'oldestFirst', limit: 100, ...page });
    return found.map(({ eventId }) => eventId);
  }

  describe('dead events', () => {
    it('are found by what they are, in pages of both orders', async () => {
      const causationId = newEventId();
      const lost = await dead(2, false);
      const undone = await dead(1, true, { key: 'order 7', causationId });
      const compensating = await record(1, { type: 'order.paid' });
      await report(compensating, 'stock', 'dead');
      await record(1);
      const all = [...lost, ...undone, ...compensating];
      expect(await deadIds()).toEqual(all);
      expect(await deadIds({}, { order: 'newestFirst', limit: 3 })).toEqual(all.toReversed().slice(0, 3));
      const [first] = await operations().deadEvents({}, { order: 'oldestFirst', limit: 1 });
      expect(first).toMatchObject({
        id: lost[0],
        type: 'order.created',
        key: null,
        reason: 'stock dead: broken',
        endedAt: expect.any(Date) as Date,
        isCompensated: false,
      });
      expect(await deadIds({}, { behind: first?.cursor, limit: 2 })).toEqual(all.slice(1, 3));
      expect(await deadIds({}, { order: 'newestFirst', behind: all[2] })).toEqual(lost.toReversed());
      expect(await deadIds({ needPerson: true })).toEqual(lost);
      expect(await deadIds({ type: 'order.paid' })).toEqual(compensating);
      expect(await deadIds({ key: 'order 7' })).toEqual(undone);
      expect(await deadIds({ causationId })).toEqual(undone);
      expect(await deadIds({ key: 'order 7', needPerson: true })).toEqual([]);
    });

    it('are archived once, and are in no list and no count then but that of the archived', async () => {
      const [archived, left] = (await dead(2, false)) as [string, string];
      const [pending] = await record(1);
      expect(await operations().archive([archived, pending as string], auditOf('archive'))).toEqual([archived]);
      expect(await operations().archive([archived], auditOf('archive'))).toEqual([]);
      expect(await deadIds()).toEqual([left]);
      expect(await deadIds({ needPerson: true })).toEqual([left]);
      expect(await deadIds({ archived: true })).toEqual([archived]);
      expect((await operations().list({ needPerson: true })).map(({ id }) => id)).toEqual([left]);
      expect((await operations().statistics()).outbox).toMatchObject({ dead: 2, needPerson: 1 });
      expect(await operations().get(archived)).toMatchObject({ archivedAt: expect.any(Date) as Date });
      expect(await operations().redrive([archived], false, auditOf('redrive'))).toEqual([archived]);
      expect(await operations().get(archived)).toMatchObject({ status: 'pending', archivedAt: null });
    });
  });

  it('handlings that are not handled are found by what they are, in pages of both orders', async () => {
    const failed = await fail(handlingOf());
    const waiting = await fail(handlingOf(), { waitMs: HOUR_MS });
    const gone = await fail(handlingOf(undefined, 'mail', 'order.paid'), { end: 'dead' }, { key: 'order 7' });
    await handle(1);
    const all = [failed, waiting, gone].map(({ eventId }) => eventId);
    expect(await failedIds()).toEqual(all);
    const [first, second] = await operations().failedHandlings({}, { order: 'newestFirst', limit: 2 });
    expect(first).toMatchObject({
      ...gone,
      status: 'dead',
      key: 'order 7',
      reason: 'it broke',
      receivedAt: expect.any(Date) as Date,
    });
    expect(await failedIds({}, { order: 'newestFirst', behind: second?.cursor })).toEqual([failed.eventId]);
    expect(await failedIds({}, { behind: second?.cursor })).toEqual([gone.eventId]);
    expect(await failedIds({ status: 'failed' })).toEqual([failed.eventId]);
    expect(await failedIds({ status: 'waiting', consumer: 'stock' })).toEqual([waiting.eventId]);
    expect(await failedIds({ type: 'order.paid' })).toEqual([gone.eventId]);
    expect(await failedIds({ key: 'order 7' })).toEqual([gone.eventId]);
    expect(await failedIds({ key: 'order 7', status: 'failed' })).toEqual([]);
  });

  it('failures say where they were thrown, when that is known', async () => {
    const where = 'StockService.deduct (stock.service.ts:41)';
    const [told, silent] = await record(2);
    const gaveUp = { consumer: 'stock', outcome: 'dead', reason: 'broken', retryAfterMs: null, redrives: 0 } as const;
    await harness().outbox.applyReceipts([
      { ...gaveUp, eventId: told as string, where },
      { ...gaveUp, eventId: silent as string },
    ]);
    const found = await operations().deadEvents({}, { order: 'oldestFirst', limit: 10 });
    expect(found.map((each) => each.where)).toEqual([where, undefined]);
    expect((await operations().get(told as string))?.outcomes).toMatchObject([{ consumer: 'stock', where }]);

    const key = handlingOf();
    const stored = { version: 1, redrives: 0, bodyHash: null, key: null, body: Buffer.from('{}'), properties: {} };
    await harness().inbox.insertFailure(key, stored, { reason: 'it broke', where, next: { end: 'dead' } }, 10_000);
    await fail(handlingOf());
    await harness().inbox.park(handlingOf(), stored, 'nobody can take it');
    const failed = await operations().failedHandlings({}, { order: 'oldestFirst', limit: 10 });
    expect(failed.map((each) => each.where)).toEqual([where, undefined, undefined]);
    expect(await operations().handlingsOf([key.eventId], 10)).toMatchObject([{ history: [{ where }] }]);
  });

  describe('what people do', () => {
    it('is in the audit with what it has changed, the latest first, and what has changed nothing is not', async () => {
      const ids = await dead(2, false);
      const key = await fail(handlingOf(), { end: 'dead' });
      const [redrive, discard, retry] = [auditOf('redrive'), auditOf('discard'), auditOf('retry')];
      const [redriven, discarded] = ids as [string, string];
      await operations().redrive([redriven], false, redrive);
      await operations().redrive([redriven], false, auditOf('redrive'));
      await operations().discard([discarded], { ...discard, why: null, filter: null });
      await operations().retryInbox([key], retry);
      const audit = await operations().listAudit(undefined, 10);
      expect(audit).toEqual([
        { ...retry, id: expect.any(String) as string, at: expect.any(Date) as Date, items: [key], count: 1 },
        {
          ...discard,
          why: null,
          filter: null,
          id: expect.any(String) as string,
          at: expect.any(Date) as Date,
          items: [discarded],
          count: 1,
        },
        { ...redrive, id: expect.any(String) as string, at: expect.any(Date) as Date, items: [redriven], count: 1 },
      ]);
      expect(await operations().listAudit(audit[0]?.id, 1)).toEqual([audit[1]]);
    });

    it('pauses a queue once, and resumes it once', async () => {
      const queue = { consumer: 'stock', type: 'order.created' };
      expect(await operations().pausedQueues()).toEqual([]);
      const pause = auditOf('pause');
      const paused = await Promise.all([operations().pause(queue, pause), operations().pause(queue, pause)]);
      expect(paused.toSorted()).toEqual([false, true]);
      const found = [{ ...queue, since: expect.any(Date) as Date, by: 'somebody', why: 'the address was wrong' }];
      expect(await operations().pausedQueues()).toEqual(found);
      expect((await operations().statistics()).inbox.paused).toEqual(found);
      expect(await operations().resume({ ...queue, type: 'order.paid' }, auditOf('resume'))).toBe(false);
      expect(await operations().resume(queue, auditOf('resume'))).toBe(true);
      expect(await operations().resume(queue, auditOf('resume'))).toBe(false);
      expect(await operations().pausedQueues()).toEqual([]);
      const audit = await operations().listAudit(undefined, 10);
      expect(audit.map(({ operation, items }) => [operation, items])).toEqual([
        ['resume', [queue]],
        ['pause', [queue]],
      ]);
    });
  });
}
