import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { upTo } from '../claim-limit';
import { HOUR_MS, LEASE_MS, oldId, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeReceipts(harness: () => OutboxHarness): void {
  const { store, insert, insertOne, row, settlement, receipt, claimIds, claimedDead } = outboxFixture(harness);

  describe('applyReceipts', () => {
    it('handled by anyone ends an event without declared consumers', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published')]);
      const { applied, busy } = await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(applied).toEqual([
        {
          eventId: id,
          type: 'order.created',
          statusBefore: 'published',
          status: 'consumed',
          reason: null,
          changed: ['stock'],
        },
      ]);
      expect(busy).toEqual([]);
      expect(await row(id)).toMatchObject({
        status: 'consumed',
        dueAt: null,
        endedAt: expect.any(Date) as Date,
        outcomes: { stock: { outcome: 'handled', reason: null } },
      });
    });

    it('keep where the consumer threw, when they say it', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { consumers: ['stock', 'mail'] });
      await store().settle([settlement(id, token, 'published')]);
      const where = 'StockService.deduct (stock.service.ts:41)';
      await store().applyReceipts([{ ...receipt(id, 'stock', 'dead'), where }, receipt(id, 'mail', 'rejected')]);
      const { outcomes } = (await row(id)) as { outcomes: Record<string, object> };
      expect(outcomes).toMatchObject({ stock: { outcome: 'dead', where }, mail: { outcome: 'rejected' } });
      expect(outcomes['mail']).not.toHaveProperty('where');
    });

    it('a receipt that comes before the settle ends the event, and the settle changes nothing', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed', attempts: 1, publishedAt: expect.any(Date) as Date });
      for (const result of ['published', 'retry', 'postponed', 'dead'] as const) {
        expect(await store().settle([settlement(id, token, result)])).toMatchObject([{ because: 'ended' }]);
      }
      expect(await row(id)).toMatchObject({ status: 'consumed', dueAt: null });
    });

    it('a receipt of one of several consumers that comes before the settle leaves the claim to it', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'published', claimToken: token });
      expect(await store().settle([settlement(id, token, 'published')])).toEqual([]);
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('a receipt of one of several consumers for a pending event that has long been due makes it due as published from now on', async () => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await harness().setDueIn([id], -3_600_000);
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const { events } = await store().claim('published', upTo(1), LEASE_MS, randomUUID(), { dueWithinMs: 60_000 });
      expect(events.map((event) => event.id)).toEqual([id]);
    });

    it('a duplicate changes nothing, and is not news', async () => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const before = await row(id);
      const { applied } = await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(applied).toMatchObject([{ statusBefore: 'consumed', status: 'consumed', changed: [] }]);
      expect(await row(id)).toEqual(before);
    });

    it.each(['retrying', 'rejected', 'dead'] as const)('handled is never overwritten by %s', async (outcome) => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const { dueAt } = await row(id);
      await store().applyReceipts([receipt(id, 'stock', outcome, { retryAfterMs: 10 * LEASE_MS })]);
      expect(await row(id)).toMatchObject({ status: 'published', dueAt, outcomes: { stock: { outcome: 'handled' } } });
    });

    it('of several receipts of one consumer in one statement the strongest counts', async () => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([
        receipt(id, 'stock', 'handled'),
        receipt(id, 'stock', 'retrying'),
        receipt(id, 'stock', 'rejected'),
      ]);
      expect(await row(id)).toMatchObject({ status: 'consumed', outcomes: { stock: { outcome: 'handled' } } });
    });

    it('needs every declared consumer, and no other', async () => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled'), receipt(id, 'stranger', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'published', outcomes: { stranger: { outcome: 'handled' } } });
      await store().applyReceipts([receipt(id, 'stranger', 'rejected'), receipt(id, 'third', 'rejected')]);
      expect(await row(id)).toMatchObject({ status: 'published' });
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('retrying moves the chase beyond the next attempt of the consumer', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: 1000 })]);
      expect(await claimIds('published')).toEqual([]);
      expect(await row(id)).toMatchObject({
        status: 'published',
        outcomes: { stock: { outcome: 'retrying', reason: 'retrying for a reason' } },
      });
    });

    it('retrying before the settle is not undone by the settle', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: HOUR_MS })]);
      const { dueAt } = await row(id);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      expect(await row(id)).toMatchObject({ status: 'published', dueAt });
    });

    it('retrying never brings the chase nearer', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: HOUR_MS })]);
      const { dueAt } = await row(id);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: 0 })]);
      expect(await row(id)).toMatchObject({ dueAt });
    });

    it('retrying moves no chase while another declared consumer has not reported, or when a stranger retries', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { consumers: ['stock', 'mail'] });
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying'), receipt(id, 'stranger', 'retrying')]);
      expect(await claimIds('published')).toEqual([id]);
      await harness().setDueIn([id], -1);
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      await store().applyReceipts([receipt(id, 'stranger', 'retrying')]);
      expect(await claimIds('published')).toEqual([id]);
      await harness().setDueIn([id], -1);
      await store().applyReceipts([receipt(id, 'stock', 'retrying')]);
      expect(await claimIds('published')).toEqual([]);
    });

    it.each(['rejected', 'dead'] as const)(
      '%s ends the event dead, due at once for its compensation, and names the consumer',
      async (outcome) => {
        const token = randomUUID();
        const id = await insertOne(token, { consumers: ['stock', 'mail'] });
        const { applied } = await store().applyReceipts([
          receipt(id, 'mail', 'handled'),
          receipt(id, 'stock', outcome, { reason: 'sold out' }),
        ]);
        expect(applied).toMatchObject([
          { statusBefore: 'pending', status: 'dead', reason: `stock ${outcome}: sold out` },
        ]);
        expect(await row(id)).toMatchObject({
          status: 'dead',
          reason: `stock ${outcome}: sold out`,
          claimToken: null,
          endedAt: expect.any(Date) as Date,
        });
        expect(await claimIds('dead')).toEqual([id]);
        expect(await store().settle([settlement(id, token, 'published')])).toMatchObject([{ because: 'ended' }]);
      },
    );

    it.each(['rejected', 'dead'] as const)('%s is not overwritten by retrying', async (outcome) => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([receipt(id, 'stock', outcome)]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying')]);
      expect(await row(id)).toMatchObject({ status: 'dead', outcomes: { stock: { outcome } } });
    });

    it('a late handled is kept and reported beside the end, which stands', async () => {
      const token = randomUUID();
      const id = await claimedDead(token);
      const before = await row(id);
      const { applied } = await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(applied).toMatchObject([{ statusBefore: 'dead', status: 'dead', changed: ['mail'] }]);
      const after = await row(id);
      expect(after.outcomes).toMatchObject({ mail: { outcome: 'handled' }, stock: { outcome: 'rejected' } });
      after.outcomes = before.outcomes;
      expect(after).toEqual(before);
    });

    it('a failure of the time before a redrive says nothing about the event as it is now', async () => {
      const id = await insertOne(randomUUID());
      await harness().transaction((manager) => harness().overwrite(manager, id, { redrives: 1 }));
      await store().applyReceipts([
        receipt(id, 'stock', 'dead'),
        receipt(id, 'mail', 'retrying', { retryAfterMs: HOUR_MS }),
      ]);
      expect(await row(id)).toMatchObject({ status: 'published', outcomes: {} });
      await store().applyReceipts([receipt(id, 'stock', 'dead', { redrives: 1 })]);
      expect(await row(id)).toMatchObject({ status: 'dead' });
    });

    it('handled counts whichever redrive it is of', async () => {
      const id = await insertOne(randomUUID());
      await harness().transaction((manager) => harness().overwrite(manager, id, { redrives: 1 }));
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('leaves out unknown events, and events that expect no receipts', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { confirm: false });
      await store().settle([settlement(id, token, 'published')]);
      const before = await row(id);
      expect(
        await store().applyReceipts([receipt(id, 'stock', 'dead'), receipt(newEventId(), 'stock', 'handled')]),
      ).toMatchObject({ applied: [], busy: [] });
      expect(await row(id)).toEqual(before);
    });

    it('tells which events are not there, unless they may have been pruned', async () => {
      const id = await insertOne(randomUUID());
      const young = newEventId();
      const old = oldId(100);
      const receipts = [id, young, young, old].map((eventId, n) => receipt(eventId, `stock${n}`, 'handled'));
      expect(await store().applyReceipts(receipts, 72)).toMatchObject({ applied: [{ eventId: id }], unknown: [young] });
      expect((await store().applyReceipts(receipts, 200)).unknown).toHaveLength(2);
      expect((await store().applyReceipts(receipts)).unknown).toHaveLength(2);
    });

    it('a receipt that the database refuses is told, and keeps no other from being written', async () => {
      const ids = await insert(5, randomUUID());
      const bad = receipt(ids[2] as string, 'stock', 'retrying', { retryAfterMs: Number.MAX_VALUE });
      const receipts = ids.map((id, n) => (n === 2 ? bad : receipt(id, 'stock', 'handled')));
      const { applied, refused } = await store().applyReceipts(receipts);
      expect(applied.map(({ eventId }) => eventId).sort()).toEqual(ids.filter((_, n) => n !== 2).sort());
      expect(refused).toEqual([{ ...bad, because: expect.stringMatching(/out of range/) }]);
      expect((await row(bad.eventId)).status).toBe('pending');
    });

    it('does not wait for a running compensation: its event is busy, the others are written', async () => {
      const token = randomUUID();
      const dead = await claimedDead(token);
      const other = await insertOne(randomUUID());
      await harness().transaction(async (manager) => {
        await store().settleCompensated(manager, dead, token, true);
        const { applied, busy } = await store().applyReceipts([
          receipt(dead, 'mail', 'handled'),
          receipt(other, 'stock', 'handled'),
        ]);
        expect(applied).toMatchObject([{ eventId: other, status: 'consumed' }]);
        expect(busy).toEqual([dead]);
      });
      expect((await store().applyReceipts([receipt(dead, 'mail', 'handled')])).busy).toEqual([]);
      expect(await row(dead)).toMatchObject({
        compensatedAt: expect.any(Date) as Date,
        outcomes: { mail: { outcome: 'handled' } },
      });
    });

    it('decides on what a row has become while it waited for it', async () => {
      const [died, settled] = (await insert(2, randomUUID())) as [string, string];
      let applying: Promise<unknown> = Promise.resolve();
      await harness().holding([died, settled], async (manager) => {
        applying = store().applyReceipts([receipt(died, 'stock', 'handled'), receipt(settled, 'stock', 'handled')]);
        await harness().waiting(1);
        await harness().overwrite(manager, died, { status: 'dead', claimToken: null });
        await harness().overwrite(manager, settled, {
          status: 'published',
          outcomes: { mail: { outcome: 'retrying', reason: null, at: '' } },
        });
      });
      expect(await applying).toMatchObject({
        applied: [{ eventId: settled, statusBefore: 'published', status: 'consumed' }],
        busy: [died],
      });
      expect(await row(settled)).toMatchObject({
        outcomes: { mail: { outcome: 'retrying' }, stock: { outcome: 'handled' } },
      });
    });
  });
}
