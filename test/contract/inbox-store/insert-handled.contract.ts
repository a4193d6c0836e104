import { eventually } from '../../support/eventually';
import { LEASE_MS, STOCK, newKey, message, shared, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeInsertHandled(harness: () => InboxHarness): void {
  const { store, begin } = inboxFixture(harness);

  describe('insertHandled', () => {
    it('stores the row with the transaction that handles, and not without it', async () => {
      const [committed, rolledBack] = [newKey(), newKey()];
      const first = await begin();
      await expect(store().insertHandled(first.manager, committed, message(), LEASE_MS)).resolves.toBe(true);
      await expect(harness().row(committed)).resolves.toBeUndefined();
      await first.commit();
      const second = await begin();
      await store().insertHandled(second.manager, rolledBack, message(), LEASE_MS);
      await second.rollback();

      await expect(harness().row(committed)).resolves.toMatchObject({
        status: 'handled',
        attempts: 1,
        due_at: null,
        body: null,
        ended_at: expect.any(Date) as Date,
      });
      await expect(harness().row(rolledBack)).resolves.toBeUndefined();
    });

    it.each([
      ['commits', 'finds it handled', false],
      ['rolls back', 'may handle', true],
    ] as const)(
      'makes a concurrent duplicate wait; when the first one %s the second one %s',
      async (end, _, claimed) => {
        const key = newKey();
        const first = await begin();
        const second = await begin();
        await store().insertHandled(first.manager, key, message(), LEASE_MS);
        const duplicate = store().insertHandled(second.manager, key, message(), LEASE_MS);
        await eventually(async () => expect(await harness().waitingForLocks()).toBe(1));

        await (end === 'commits' ? first.commit() : first.rollback());

        await expect(duplicate).resolves.toBe(claimed);
        await second.commit();
        await expect(harness().row(key)).resolves.toMatchObject({ status: 'handled' });
      },
    );

    it('takes one row for each consumer of one event', async () => {
      const key = newKey('stock');
      const transaction = await begin();
      await expect(store().insertHandled(transaction.manager, key, message(), LEASE_MS)).resolves.toBe(true);
      const other = { ...key, consumer: 'stock.audit' };
      await expect(store().insertHandled(transaction.manager, other, message(), LEASE_MS)).resolves.toBe(true);
      await expect(store().insertHandled(transaction.manager, key, message(), LEASE_MS)).resolves.toBe(false);
      await transaction.commit();
    });

    it('takes one row for each type that a foreign publisher has given one id', async () => {
      const created = newKey();
      const cancelled = { ...created, type: 'order.cancelled' };
      const transaction = await begin();
      await expect(store().insertHandled(transaction.manager, created, message(), LEASE_MS)).resolves.toBe(true);
      await expect(store().insertHandled(transaction.manager, cancelled, message(), LEASE_MS)).resolves.toBe(true);
      await expect(store().insertHandled(transaction.manager, cancelled, message(), LEASE_MS)).resolves.toBe(false);
      await transaction.commit();
      for (const key of [created, cancelled])
        await expect(store().find(key)).resolves.toMatchObject({ status: 'handled' });
    });
  });

  describe('insertHandledAll', () => {
    it('stores the rows with the transaction that handles, and claims those that nobody had', async () => {
      const [taken, ...free] = [newKey(), newKey(), newKey()];
      await store().park(taken, message(), 'no');
      const transaction = await begin();
      const claim = await store().insertHandledAll(transaction.manager, STOCK, shared([...free, taken]));
      expect(claim).toEqual(new Set(free.map(({ eventId }) => eventId)));
      for (const key of free) await expect(harness().row(key)).resolves.toBeUndefined();
      await transaction.commit();
      for (const key of free)
        await expect(harness().row(key)).resolves.toMatchObject({
          type: 'order.created',
          version: 1,
          status: 'handled',
          attempts: 1,
          redrives: 2,
          due_at: null,
          body: null,
          ended_at: expect.any(Date) as Date,
        });
      await expect(harness().row(taken)).resolves.toMatchObject({ status: 'rejected' });
    });

    it('claims nothing when all are taken', async () => {
      const key = newKey();
      await store().park(key, message(), 'no');
      const transaction = await begin();
      const claim = await store().insertHandledAll(transaction.manager, STOCK, shared([key]));
      expect(claim).toEqual(new Set());
      await transaction.rollback();
    });

    it('takes a row for each consumer of one event', async () => {
      const key = newKey('stock');
      const transaction = await begin();
      for (const consumer of ['stock', 'stock.audit']) {
        const eventIds = await store().insertHandledAll(transaction.manager, { ...STOCK, consumer }, shared([key]));
        expect(eventIds).toEqual(new Set([key.eventId]));
      }
      await transaction.commit();
    });

    it('makes a second one wait that has the same messages in another order, without a deadlock', async () => {
      const keys = Array.from({ length: 50 }, () => newKey());
      const [first, second] = [await begin(), await begin()];
      const claimed = await store().insertHandledAll(first.manager, STOCK, shared(keys.slice(0, 25)));
      const waiting = store().insertHandledAll(second.manager, STOCK, shared(keys.toReversed()));
      await eventually(async () => expect(await harness().waitingForLocks()).toBe(1));
      await first.commit();
      const eventIds = await waiting;
      await second.commit();
      expect(claimed.size + eventIds.size).toBe(50);
      expect([...eventIds].some((id) => claimed.has(id))).toBe(false);
    });

    it('never deadlocks, whatever the orders', async () => {
      const keys = Array.from({ length: 200 }, () => newKey());
      const claims = await Promise.all(
        Array.from({ length: 8 }, async (_, index) => {
          const order = index % 2 === 0 ? keys : keys.toReversed();
          const transaction = await begin();
          const eventIds = await store().insertHandledAll(transaction.manager, STOCK, shared(order));
          await transaction.commit();
          return [...eventIds];
        }),
      );
      expect(claims.flat().toSorted()).toEqual(keys.map(({ eventId }) => eventId).toSorted());
    });
  });
}
