import { randomUUID } from 'node:crypto';
import { upTo } from '../claim-limit';
import { LEASE_MS, oldId, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describePrune(harness: () => OutboxHarness): void {
  const { store, event, settlement, receipt } = outboxFixture(harness);

  describe('prune', () => {
    async function ended(count: number, hoursAgo: number): Promise<string[]> {
      const token = randomUUID();
      const events = Array.from({ length: count }, () => event({ id: oldId(hoursAgo + 1) }));
      await harness().transaction((manager) => store().insert(manager, events, token, LEASE_MS));
      const ids = events.map(({ id }) => id);
      await store().applyReceipts(ids.map((id) => receipt(id, 'stock', 'handled')));
      await harness().setEndedAgo(ids, hoursAgo);
      return ids;
    }

    it('deletes consumed events, and published ones that nobody confirms, when they ended long enough ago', async () => {
      const consumed = await ended(2, 100);
      const recent = await ended(1, 10);
      const token = randomUUID();
      const published = event({ id: oldId(101), confirm: false });
      await harness().transaction((manager) => store().insert(manager, [published], token, LEASE_MS));
      await store().settle([settlement(published.id, token, 'published')]);
      await harness().setEndedAgo([published.id], 100);
      expect(await store().prune(72, 10)).toEqual([...consumed, published.id].sort());
      expect(await harness().find(recent[0] as string)).not.toBeNull();
    });

    it('never deletes dead or unfinished events, however old', async () => {
      const token = randomUUID();
      const old = Array.from({ length: 4 }, () => event({ id: oldId(1000) }));
      await harness().transaction((manager) => store().insert(manager, old, token, LEASE_MS));
      const [, published, dead, compensated] = old.map(({ id }) => id) as [string, string, string, string];
      await store().settle([settlement(published, token, 'published')]);
      await store().applyReceipts([receipt(dead, 'stock', 'dead'), receipt(compensated, 'stock', 'dead')]);
      const claim = randomUUID();
      await store().claim('dead', upTo(2), LEASE_MS, claim);
      await store().settleCompensated(undefined, compensated, claim, false);
      await harness().setEndedAgo([dead, compensated], 1000);
      expect(await store().prune(0, 10)).toEqual([]);
    });

    it('goes on after the last one in batches of the limit, passing over what it must not delete', async () => {
      const ids = await ended(5, 100);
      const kept = event({ id: oldId(1000) });
      await harness().transaction((manager) => store().insert(manager, [kept], randomUUID(), LEASE_MS));
      const sorted = [...ids].sort();
      const first = await store().prune(72, 2);
      expect(first).toEqual(sorted.slice(0, 2));
      const second = await store().prune(72, 2, first.at(-1));
      expect(second).toEqual(sorted.slice(2, 4));
      expect(await store().prune(72, 2, second.at(-1))).toEqual(sorted.slice(4));
      expect(await harness().find(kept.id)).not.toBeNull();
    });

    it('passes over rows that another transaction holds, and two who prune at once delete each row once', async () => {
      const ids = await ended(40, 100);
      const held = ids[0] as string;
      await harness().holding([held], async () => {
        const shares = await Promise.all([store().prune(72, 30), store().prune(72, 30), store().prune(72, 30)]);
        const deleted = shares.flat();
        expect(new Set(deleted).size).toBe(deleted.length);
        expect(deleted).not.toContain(held);
      });
      await store().prune(72, 100);
      for (const id of ids) expect(await harness().find(id)).toBeNull();
    });
  });
}
