import { randomUUID } from 'node:crypto';
import type { InboxKey, InboxMessage } from '../../../libs/reliable-mq/src/inbox/inbox.store';
import { WAIT_MS, queue, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeWaiting(harness: () => InboxHarness): void {
  const { store, failing, claimOne } = inboxFixture(harness);

  describe('messages that wait for a release that handles their version', () => {
    const newer = (): InboxMessage => message({ version: 9 });
    const failure = { reason: 'no handler for version 9', next: { waitMs: 60_000 } };

    async function waiting(): Promise<InboxKey> {
      const key = newKey();
      await expect(store().insertFailure(key, newer(), failure, WAIT_MS)).resolves.toBe(true);
      return key;
    }

    it('are kept without an attempt and without a history, due when the wait is over', async () => {
      const row = await harness().row(await waiting());
      expect(row).toMatchObject({ status: 'waiting', attempts: 0, history: [], ended_at: null });
      expect(row?.due_in_ms).toBeGreaterThan(30_000);
    });

    it('are left alone by those who do not handle them, until the wait is over', async () => {
      const key = await waiting();
      await harness().age(key, 120_000);
      await expect(store().claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
      await expect(store().claim([{ ...queue, waitMs: 0 }], 10, randomUUID(), 'others')).resolves.toHaveLength(1);
    });

    it('are woken by a release that handles them, and by no other', async () => {
      const key = await waiting();
      await expect(store().wakeWaiting([queue], 10)).resolves.toBe(0);
      const release = { ...queue, versions: [1, 9] };
      await expect(store().wakeWaiting([release], 10)).resolves.toBe(1);
      await expect(store().wakeWaiting([release], 10)).resolves.toBe(0);
      await expect(store().claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
      await expect(store().claim([release], 10, randomUUID(), 'others')).resolves.toMatchObject([
        { eventId: key.eventId, attempts: 0 },
      ]);
    });

    it('wait again when that is how a claim ends', async () => {
      const key = newKey();
      await failing(key, 0);
      const { token } = await claimOne();
      await store().settleFailed(key, token, failure);
      await expect(harness().row(key)).resolves.toMatchObject({ status: 'waiting', attempts: 1, claim_token: null });
    });
  });
}
