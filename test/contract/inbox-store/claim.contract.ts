import { randomUUID } from 'node:crypto';
import { LEASE_MS, STOCK, queue, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeClaim(harness: () => InboxHarness): void {
  const { store, begin, failing, claimOne } = inboxFixture(harness);

  describe('claim', () => {
    it('takes what is due, oldest first, for the lease of its queue, and counts nothing yet', async () => {
      const [older, newer, later] = [newKey(), newKey(), newKey()];
      for (const key of [newer, older]) await failing(key, 0);
      await failing(later, 60_000);
      await harness().age(older, 5_000);
      const token = randomUUID();

      const rows = await store().claim([queue], 10, token, 'others');

      expect(rows.map(({ eventId }) => eventId)).toEqual([older.eventId, newer.eventId]);
      expect(rows[0]).toMatchObject({ attempts: 1, unfinishedStarts: 0, type: 'order.created', version: 1 });
      expect(rows[0]?.overdueMs).toBeGreaterThanOrEqual(5_000);
      expect(rows[0]?.body).toEqual(Buffer.from('{"a":1}'));
      const stored = await harness().row(older);
      expect(stored).toMatchObject({ attempts: 1, unfinished_starts: 0, claim_token: token, status: 'failed' });
      expect(stored?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
      await expect(store().claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
    });

    it('takes at most the limit', async () => {
      for (let count = 0; count < 5; count += 1) await failing(newKey(), 0);
      await expect(store().claim([queue], 2, randomUUID(), 'others')).resolves.toHaveLength(2);
    });

    it('takes at most its limit of each queue, so that none holds up another', async () => {
      for (let count = 0; count < 5; count += 1) await failing(newKey(), 0);
      const late = newKey('stock', 'order.paid');
      await failing(late, 0);
      const queues = [
        { ...queue, limit: 2 },
        { ...queue, type: 'order.paid', limit: 3 },
        { ...queue, type: 'order.moved', limit: 0 },
      ];
      const rows = await store().claim(queues, 10, randomUUID(), 'others');
      expect(rows.map(({ type }) => type).toSorted()).toEqual(['order.created', 'order.created', 'order.paid']);
    });

    it('takes only rows of the given consumers and types', async () => {
      const mine = newKey();
      await failing(mine, 0);
      await failing(newKey('someone.else'), 0);
      await failing(newKey('stock', 'order.of-a-newer-release'), 0);
      const rows = await store().claim([queue], 10, randomUUID(), 'others');
      expect(rows.map(({ eventId }) => eventId)).toEqual([mine.eventId]);
      await expect(store().claim([], 10, randomUUID(), 'others')).resolves.toEqual([]);
    });

    it('shares the rows out between instances that claim at the same time', async () => {
      const keys = Array.from({ length: 40 }, () => newKey());
      for (const key of keys) await failing(key, 0);
      const claims = await Promise.all(
        Array.from({ length: 8 }, () => store().claim([queue], 10, randomUUID(), 'others')),
      );
      const ids = claims.flat().map(({ eventId }) => eventId);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.every((id) => keys.some(({ eventId }) => eventId === id))).toBe(true);
    });

    it('skips a row that an open transaction has settled, even when its lease is over', async () => {
      const [held, free] = [newKey(), newKey()];
      await failing(held, 0);
      const token = randomUUID();
      await store().claim([{ ...queue, leaseMs: 0 }], 1, token, 'others');
      const holder = await begin();
      await store().settleHandled(holder.manager, held, token);
      await failing(free, 0);

      const rows = await store().claim([queue], 10, randomUUID(), 'others');

      expect(rows.map(({ eventId }) => eventId)).toEqual([free.eventId]);
      await holder.commit();
      await expect(harness().row(held)).resolves.toMatchObject({ status: 'handled' });
    });

    it('takes a row again when its lease has run out', async () => {
      const key = newKey();
      await failing(key, 0);
      await claimOne();
      await harness().age(key, LEASE_MS * 2);
      const { row } = await claimOne();
      expect(row).toMatchObject({ attempts: 1, unfinishedStarts: 0 });
    });

    it('keeps suspects apart from the others', async () => {
      const [suspect, other] = [newKey(), newKey()];
      await store().adopt(suspect, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
      await expect(store().queuesWithSuspects([queue])).resolves.toEqual([]);
      await harness().age(suspect, LEASE_MS * 2);
      await failing(other, 0);

      await expect(store().queuesWithSuspects([queue])).resolves.toEqual([STOCK]);
      await expect(store().queuesWithSuspects([{ ...queue, type: 'another' }])).resolves.toEqual([]);
      const others = await store().claim([queue], 10, randomUUID(), 'others');
      expect(others.map(({ eventId }) => eventId)).toEqual([other.eventId]);
      const suspects = await store().claim([queue], 10, randomUUID(), 'suspects');
      expect(suspects).toMatchObject([{ eventId: suspect.eventId, unfinishedStarts: 2 }]);
      await expect(store().queuesWithSuspects([queue])).resolves.toEqual([]);
    });
  });
}
