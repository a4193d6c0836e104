import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { auditOf, operationsFixture, type OperationsHarness } from './operations-fixture';

const MAIL = { type: 'order.created', consumer: 'mail' };

export function describeBackfill(harness: () => OperationsHarness): void {
  const { operations, record, recordOne, report, dead } = operationsFixture(harness);

  const backfill = (ids: readonly string[], consumer = 'mail') =>
    operations().backfill(ids, consumer, auditOf('backfill'));

  /** Consumed by `stock`. */
  async function consumed(count: number, of: Parameters<typeof record>[1] = {}): Promise<string[]> {
    const ids = await record(count, of);
    await report(ids, 'stock', 'handled');
    return ids;
  }

  /** Published, and nobody reports. */
  async function published(id: string): Promise<void> {
    await harness().database.makeDue('outbox');
    const token = randomUUID();
    await harness().outbox.claim('pending', { rows: 100, bytes: 1000 }, 60_000, token);
    await harness().outbox.settle([{ id, token, result: 'published', delayMs: 1000, reason: null }]);
  }

  describe('backfill', () => {
    it('makes events that have ended due for one more consumer, keeps who has handled them, and ends them anew', async () => {
      const [declared] = (await consumed(1, { consumers: ['stock'], headers: { tenant: 'a' } })) as [string];
      const [open] = (await consumed(1)) as [string];
      const silent = await recordOne({ confirm: false });
      await published(silent);
      const ids = [declared, open, silent].sort();

      expect([...(await backfill([...ids, newEventId()]))].sort()).toEqual(ids);
      const consumersOf = { [declared]: ['stock', 'mail'], [open]: ['stock', 'mail'], [silent]: ['mail'] };
      for (const id of ids) {
        expect(await operations().get(id)).toMatchObject({
          status: 'published',
          attempts: 0,
          endedAt: null,
          dueAt: expect.any(Date) as Date,
          consumers: consumersOf[id],
          reason: 'sent to a new consumer by hand',
          headers: { ...(id === declared && { tenant: 'a' }), 'reliable-mq-backfill': 'mail' },
          outcomes: id === silent ? [] : [{ consumer: 'stock', outcome: 'handled' }],
        });
      }
      expect(await operations().listAudit(undefined, 10)).toMatchObject([{ operation: 'backfill', count: 3 }]);
      await report(ids, 'mail', 'handled');
      for (const id of ids) expect(await operations().get(id)).toMatchObject({ status: 'consumed', dueAt: null });

      // Another one later.
      expect(await backfill(ids, 'audit')).toHaveLength(3);
      expect(await operations().get(declared)).toMatchObject({
        consumers: ['stock', 'mail', 'audit'],
        headers: { 'reliable-mq-backfill': 'mail audit' },
      });
    });

    it('leaves alone what has not ended, is dead, or is known to the consumer', async () => {
      const pending = await recordOne();
      const waiting = await recordOne({ consumers: ['stock', 'shop'] });
      await published(waiting);
      const gone = await dead(1, false);
      const own = await consumed(1, { consumers: ['stock', 'mail'] });
      await report(own, 'mail', 'handled');
      const [reported] = (await consumed(1, { consumers: ['stock'] })) as [string];
      await report([reported], 'mail', 'dead');
      const [sent] = (await consumed(1)) as [string];
      await backfill([sent]);
      const before = await harness().database.outbox();
      expect(await backfill([pending, waiting, ...gone, ...own, reported, sent])).toEqual([]);
      expect(await harness().database.outbox()).toEqual(before);
      expect(await operations().listAudit(undefined, 10)).toHaveLength(1);
    });

    it('of the same events at once sends each once', async () => {
      const ids = await consumed(40, { consumers: ['stock'] });
      const shuffled = (): string[] => ids.toSorted(() => Math.random() - 0.5);
      const sent = await Promise.all([backfill(shuffled()), backfill(shuffled()), backfill(shuffled())]);
      expect(sent.flat().toSorted()).toEqual(ids);
      expect((await operations().get(ids[0] as string))?.consumers).toEqual(['stock', 'mail']);
    });
  });

  it('past events of a type are read along their ids, both ways, with what a consumer knows of them', async () => {
    const [known] = (await consumed(1, { consumers: ['stock', 'mail'] })) as [string];
    const [reported] = (await consumed(1, { consumers: ['stock'] })) as [string];
    await report([reported], 'mail', 'handled');
    const [ended] = (await consumed(1)) as [string];
    await consumed(1, { type: 'order.paid' });
    const [gone] = await dead(1, true);
    const pending = await recordOne();
    const ids = [known, reported, ended, gone, pending] as string[];

    const all = await operations().pastEvents(MAIL, { order: 'oldestFirst', limit: 10 });
    expect(all.map(({ id, status, hasEnded, isKnown }) => ({ id, status, hasEnded, isKnown }))).toEqual([
      { id: known, status: 'published', hasEnded: false, isKnown: true },
      { id: reported, status: 'consumed', hasEnded: true, isKnown: true },
      { id: ended, status: 'consumed', hasEnded: true, isKnown: false },
      { id: gone, status: 'dead', hasEnded: true, isKnown: false },
      { id: pending, status: 'pending', hasEnded: false, isKnown: false },
    ]);
    expect(all[0]?.createdAt).toEqual((await operations().get(known))?.createdAt);
    const behind = all[1]?.cursor;
    const idsOf = async (page: Parameters<ReturnType<typeof operations>['pastEvents']>[1], since?: Date) =>
      (await operations().pastEvents({ ...MAIL, since }, page)).map(({ id }) => id);
    expect(await idsOf({ order: 'oldestFirst', behind, limit: 2 })).toEqual(ids.slice(2, 4));
    expect(await idsOf({ order: 'newestFirst', limit: 2 })).toEqual([pending, gone]);
    expect(await idsOf({ order: 'newestFirst', behind, limit: 2 })).toEqual([known]);
    expect(await idsOf({ order: 'oldestFirst', limit: 10 }, new Date(0))).toEqual(ids);
    expect(await idsOf({ order: 'oldestFirst', limit: 10 }, new Date(Date.now() + 60_000))).toEqual([]);
  });
}
