import { randomUUID } from 'node:crypto';
import { LEASE_MS, WAIT_MS, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeStart(harness: () => InboxHarness): void {
  const { store, begin, failing, claimOne } = inboxFixture(harness);

  describe('claimAnew', () => {
    it.each(['dead', 'rejected'] as const)('starts a %s row anew, once for each redrive', async (end) => {
      const key = newKey();
      await store().insertFailure(key, message(), { reason: 'no', next: { end } }, WAIT_MS);
      const claim = { token: randomUUID(), leaseMs: LEASE_MS };
      await expect(store().claimAnew(key, 0, false, claim)).resolves.toBeUndefined();
      const [first, second] = await Promise.all([
        store().claimAnew(key, 1, false, claim),
        store().claimAnew(key, 1, false, claim),
      ]);
      expect([first, second].filter((row) => row !== undefined)).toMatchObject([
        { attempts: 0, unfinishedStarts: 0, redrives: 1 },
      ]);
      await expect(harness().row(key)).resolves.toMatchObject({ status: 'failed', ended_at: null, redrives: 1 });
    });

    it('starts a row anew whose message was moved back, and keeps its number of redrives', async () => {
      const key = newKey();
      await store().park(key, message({ redrives: 2 }), 'no');
      const claim = { token: randomUUID(), leaseMs: LEASE_MS };
      await expect(store().claimAnew(key, 0, true, claim)).resolves.toMatchObject({ redrives: 2 });
      await expect(store().claimAnew(key, 0, true, claim)).resolves.toBeUndefined();
    });

    it('leaves handled and failed rows alone', async () => {
      const [handled, failed] = [newKey(), newKey()];
      const transaction = await begin();
      await store().insertHandled(transaction.manager, handled, message(), LEASE_MS);
      await transaction.commit();
      await failing(failed, 0);
      for (const key of [handled, failed]) {
        const claim = { token: randomUUID(), leaseMs: LEASE_MS };
        await expect(store().claimAnew(key, 5, true, claim)).resolves.toBeUndefined();
      }
    });
  });

  describe('start', () => {
    it('counts the attempt and the start, and gives the claim a whole lease, once however often it is said', async () => {
      const key = newKey();
      await failing(key, 0);
      const { row, token } = await claimOne();
      await harness().age(key, LEASE_MS / 2);
      const begun = { attempts: (row?.attempts ?? 0) + 1, unfinishedStarts: 1 };
      for (let times = 0; times < 2; times += 1)
        await expect(store().start(key, { token, leaseMs: LEASE_MS }, begun)).resolves.toBe(true);
      const stored = await harness().row(key);
      expect(stored).toMatchObject({ attempts: 2, unfinished_starts: 1, claim_token: token });
      expect(stored?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
    });

    it('does nothing when the claim was lost', async () => {
      const key = newKey();
      await failing(key, 0);
      const stale = await claimOne();
      await harness().age(key, LEASE_MS * 2);
      await claimOne();
      const begun = { attempts: 2, unfinishedStarts: 1 };
      await expect(store().start(key, { token: stale.token, leaseMs: LEASE_MS }, begun)).resolves.toBe(false);
    });
  });

  describe('rename', () => {
    it('gives a claimed row that was kept by its bytes its own id', async () => {
      const [bytes, own] = [newKey(), newKey()];
      await failing(bytes, 0);
      const { token } = await claimOne();
      await expect(store().rename(bytes, randomUUID(), own.eventId, null)).resolves.toBe(false);
      const hash = Buffer.alloc(32, 7);
      await expect(store().rename(bytes, token, own.eventId, hash)).resolves.toBe(true);
      await expect(harness().row(bytes)).resolves.toBeUndefined();
      await expect(store().find(own)).resolves.toMatchObject({ status: 'failed', bodyHash: hash });
    });

    it('leaves it when that id has a row', async () => {
      const [bytes, own] = [newKey(), newKey()];
      await store().park(own, message(), 'no');
      await failing(bytes, 0);
      const { token } = await claimOne();
      await expect(store().rename(bytes, token, own.eventId, null)).resolves.toBe(false);
      await expect(harness().row(bytes)).resolves.toMatchObject({ claim_token: token });
    });
  });
}
