import { randomBytes, randomUUID } from 'node:crypto';
import { upTo } from '../claim-limit';
import { LEASE_MS, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeClaim(harness: () => OutboxHarness): void {
  const { store, event, insert, insertOne, row, settlement, receipt, claimIds, claimedDead } = outboxFixture(harness);

  describe('claim', () => {
    it('takes the rows that are due the longest, up to the limit, and returns them in the order of their ids', async () => {
      const ids = await insert(4, randomUUID());
      const [a, b, c, d] = ids as [string, string, string, string];
      await harness().setDueIn([a], -1000);
      await harness().setDueIn([b], -4000);
      await harness().setDueIn([c], -3000);
      await harness().setDueIn([d], -2000);
      expect(await claimIds('pending', 3)).toEqual([b, c, d]);
      expect(await claimIds('pending', 3)).toEqual([a]);
      expect(await claimIds('pending', 3)).toEqual([]);
    });

    it('counts an attempt, and holds the row under the new token until the lease has run out', async () => {
      const id = await insertOne(randomUUID());
      await harness().setDueIn([id], -1000);
      const token = randomUUID();
      const { events } = await store().claim('pending', upTo(1), LEASE_MS, token);
      expect(events).toMatchObject([
        { id, attempts: 1, redrives: 0, publishedAgoMs: null, outcomes: {}, reason: null },
      ]);
      expect(events[0]?.overdueMs).toBeGreaterThanOrEqual(1000);
      expect(await row(id)).toMatchObject({ attempts: 1, claimToken: token, status: 'pending' });
      expect(await claimIds('pending')).toEqual([]);

      await harness().setDueIn([id], -1);
      const again = await store().claim('pending', upTo(1), LEASE_MS, randomUUID());
      expect(again.events).toMatchObject([{ id, attempts: 2 }]);
    });

    it('takes only rows of the status that is asked for', async () => {
      const token = randomUUID();
      const [pending, published, dead, consumed] = (await insert(4, token)) as [string, string, string, string];
      await store().settle([settlement(published, token, 'published'), settlement(dead, token, 'dead')]);
      await store().applyReceipts([receipt(consumed, 'stock', 'handled')]);
      await harness().setDueIn([pending, published, dead], -1000);
      expect(await claimIds('published')).toEqual([published]);
      expect(await claimIds('dead')).toEqual([dead]);
      expect(await claimIds('pending')).toEqual([pending]);
    });

    it('counts the runs of a compensation apart from the attempts to publish', async () => {
      const id = await claimedDead(randomUUID());
      expect(await row(id)).toMatchObject({ attempts: 1, compensationAttempts: 1 });
    });

    it('passes over rows that another transaction holds, without waiting', async () => {
      const [held, free] = (await insert(2, randomUUID())) as [string, string];
      await harness().setDueIn([held, free], -1000);
      await harness().holding([held], async () => {
        expect(await claimIds('pending')).toEqual([free]);
      });
      expect(await claimIds('pending')).toEqual([held]);
    });

    it('gives each row to one of many who claim at once', async () => {
      const ids = await insert(300, randomUUID());
      await harness().setDueIn(ids, -1000);
      const claimAll = async (): Promise<string[]> => {
        const mine: string[] = [];
        for (let batch = await claimIds('pending', 7); batch.length > 0; batch = await claimIds('pending', 7)) {
          mine.push(...batch);
        }
        return mine;
      };
      const shares = await Promise.all(Array.from({ length: 6 }, claimAll));
      const claimed = shares.flat();
      expect(claimed).toHaveLength(ids.length);
      expect(new Set(claimed)).toEqual(new Set(ids));
    });

    it('takes no more than its bytes of payload hold, and at least one event; says that more may be due', async () => {
      const payloads = ['x', 'x'.repeat(1000), 'ä'.repeat(1000), 'x'].map((text) => JSON.stringify(text));
      const events = payloads.map((payload) => event({ payload }));
      await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
      const [small, large, larger, last] = events.map(({ id }) => id) as [string, string, string, string];
      for (const [n, id] of [small, large, larger, last].entries()) await harness().setDueIn([id], (n - 10) * 1000);
      const limit = { rows: 10, bytes: 1500 };
      const first = await store().claim('pending', limit, LEASE_MS, randomUUID());
      expect(first).toMatchObject({ events: [{ id: small }, { id: large }, { id: larger }], isFull: true });
      expect(first.events).toHaveLength(3);
      const range = { dueFrom: first.lastDueAt ?? '' };
      const second = await store().claim('pending', limit, LEASE_MS, randomUUID(), range);
      expect(second).toMatchObject({ events: [{ id: last }], isFull: false });
      await harness().setDueIn([larger, last], -1000);
      const third = await store().claim('pending', { rows: 10, bytes: 1 }, LEASE_MS, randomUUID());
      expect(third).toMatchObject({ events: [{ id: larger }], isFull: true });
      const exact = await store().claim('pending', { rows: 1, bytes: 1500 }, LEASE_MS, randomUUID());
      expect(exact).toMatchObject({ events: [{ id: last }], isFull: true });
      const none = await store().claim('pending', limit, LEASE_MS, randomUUID());
      expect(none).toEqual({ events: [], lastDueAt: undefined, isFull: false });
    });

    it('counts payloads that the database compresses at the size that they are answered in', async () => {
      const payload = JSON.stringify('x'.repeat(1_000_000));
      const events = [1, 2, 3, 4].map(() => event({ payload }));
      await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
      const ids = events.map(({ id }) => id);
      for (const [n, id] of ids.entries()) await harness().setDueIn([id], (n - 10) * 1000);
      for (const two of [ids.slice(0, 2), ids.slice(2)]) {
        const claim = await store().claim('pending', { rows: 10, bytes: 1_500_000 }, LEASE_MS, randomUUID());
        expect(claim.events.map(({ id }) => id)).toEqual([...two].sort());
        expect(claim.isFull).toBe(two[0] === ids[0]);
        // What did not fit was given back as it was: it is claimed next, in its turn, and its attempt was none.
        for (const { attempts } of claim.events) expect(attempts).toBe(1);
      }
    });

    it.each([100, 10_000])('takes rows of %s characters up to the last byte of the limit', async (length) => {
      const payload = JSON.stringify(randomBytes(length / 2).toString('hex'));
      const two = 2 * Buffer.byteLength(payload);
      for (const [bytes, taken] of [
        [two + 1, 3],
        [two, 2],
      ] as const) {
        const events = [1, 2, 3, 4].map(() => event({ payload }));
        await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
        const ids = events.map(({ id }) => id);
        await harness().setDueIn(ids, -1000);
        expect((await store().claim('pending', { rows: 4, bytes }, LEASE_MS, randomUUID())).events).toHaveLength(taken);
        await harness().setDueIn(ids, LEASE_MS);
      }
    });

    it('begins at dueFrom, where an earlier claim ended', async () => {
      const [a, b, c] = (await insert(3, randomUUID())) as [string, string, string];
      await harness().setDueIn([a], -3000);
      await harness().setDueIn([b], -2000);
      const first = await store().claim('pending', upTo(2), LEASE_MS, randomUUID());
      expect(first.events.map(({ id }) => id)).toEqual([a, b]);
      // Committed late: it lies before the place where the first claim ended.
      await harness().setDueIn([a], -3000);
      await harness().setDueIn([c], -1000);
      const second = await store().claim('pending', upTo(2), LEASE_MS, randomUUID(), {
        dueFrom: first.lastDueAt ?? '',
      });
      expect(second.events.map(({ id }) => id)).toEqual([c]);
      const third = await store().claim('pending', upTo(2), LEASE_MS, randomUUID());
      expect(third.events.map(({ id }) => id)).toEqual([a]);
      expect((await store().claim('pending', upTo(2), LEASE_MS, randomUUID())).lastDueAt).toBeUndefined();
    });

    it('looks at what has been due for no longer than dueWithinMs', async () => {
      const [long, short, future] = (await insert(3, randomUUID())) as [string, string, string];
      await harness().setDueIn([long], -60_000);
      await harness().setDueIn([short], -1000);
      await harness().setDueIn([future], 60_000);
      const near = await store().claim('pending', upTo(3), LEASE_MS, randomUUID(), { dueWithinMs: 30_000 });
      expect(near.events.map(({ id }) => id)).toEqual([short]);
      const whole = await store().claim('pending', upTo(3), LEASE_MS, randomUUID());
      expect(whole.events.map(({ id }) => id)).toEqual([long]);
    });
  });
}
