import { randomUUID } from 'node:crypto';
import { eventually } from '../../support/eventually';
import { LEASE_MS, newKey, message, inboxFixture, type InboxHarness, type StoredRow } from './inbox-fixture';

export function describeAdopt(harness: () => InboxHarness): void {
  const { store, begin, failing } = inboxFixture(harness);

  describe('adopt', () => {
    it('stores the message claimed, with its attempt counted before it starts', async () => {
      const key = newKey();
      const token = randomUUID();
      await expect(store().adopt(key, message({ redrives: 4 }), { token, leaseMs: LEASE_MS }, 2)).resolves.toBe(true);

      const row = await harness().row(key);
      expect(row).toMatchObject({
        status: 'failed',
        attempts: 1,
        unfinished_starts: 2,
        claim_token: token,
        redrives: 4,
      });
      expect(row?.body).toEqual(Buffer.from('{"a":1}'));
      expect(row?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
      expect(row?.due_in_ms).toBeLessThanOrEqual(LEASE_MS);
    });

    it('is the same claim when its answer was lost and it is asked for again', async () => {
      const key = newKey();
      const claim = { token: randomUUID(), leaseMs: LEASE_MS };
      await expect(store().adopt(key, message(), claim, 2)).resolves.toBe(true);
      await harness().age(key, LEASE_MS / 2);
      await expect(store().adopt(key, message(), claim, 2)).resolves.toBe(true);
      const row = await harness().row(key);
      expect(row).toMatchObject({ attempts: 1, unfinished_starts: 2, claim_token: claim.token });
      expect(row?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
    });

    it('gives up waiting after the lease, at the server too', async () => {
      const key = newKey();
      const first = await begin();
      await store().insertHandled(first.manager, key, message(), LEASE_MS);
      const waiting = store().adopt(key, message(), { token: randomUUID(), leaseMs: 2_000 }, 2);
      const refused = expect(waiting).rejects.toThrow('another transaction has held the row for 2000 ms');
      await eventually(async () => expect(await harness().waitingForLocks()).toBe(1));
      await refused;
      await eventually(async () => expect(await harness().waitingForLocks()).toBe(0));
      await first.commit();
    });

    it('leaves a row alone that exists', async () => {
      const key = newKey();
      await failing(key, 0);
      const before = await harness().row(key);
      await expect(store().adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2)).resolves.toBe(false);
      await expect(harness().row(key)).resolves.toMatchObject({ claim_token: null, attempts: before?.attempts });
    });

    it('waits for the transaction of a concurrent duplicate', async () => {
      const key = newKey();
      const first = await begin();
      await store().insertHandled(first.manager, key, message(), LEASE_MS);
      const adopted = store().adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
      await eventually(async () => expect(await harness().waitingForLocks()).toBe(1));
      await first.commit();
      await expect(adopted).resolves.toBe(false);
    });

    it('holds the row for a whole lease after it has waited, not for what the wait has left of it', async () => {
      const key = newKey();
      const first = await begin();
      await store().insertHandled(first.manager, key, message(), LEASE_MS);
      const adopted = store().adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
      await eventually(async () => expect(await harness().waitingForLocks()).toBe(1));
      await harness().passed(1_200);
      await first.rollback();
      await expect(adopted).resolves.toBe(true);
      const { received_at: began, due_at: due } = (await harness().row(key)) as StoredRow & { received_at: Date };
      expect((due as Date).getTime() - began.getTime()).toBeGreaterThanOrEqual(LEASE_MS + 1_000);
    });
  });
}
