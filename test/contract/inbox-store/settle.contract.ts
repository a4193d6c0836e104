import type { ClaimedInboxRow } from '../../../libs/reliable-mq/src/inbox/inbox.store';
import { LEASE_MS, newKey, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeSettle(harness: () => InboxHarness): void {
  const { store, begin, failing, startOne, claimOne } = inboxFixture(harness);

  describe('settling a claim', () => {
    it('settleHandled ends the row with the transaction, and drops the bytes', async () => {
      const key = newKey();
      await failing(key, 0);
      const { token } = await claimOne();
      const transaction = await begin();
      await expect(store().settleHandled(transaction.manager, key, token)).resolves.toBe(true);
      await expect(harness().row(key)).resolves.toMatchObject({ status: 'failed' });
      await transaction.commit();
      await expect(harness().row(key)).resolves.toMatchObject({
        status: 'handled',
        attempts: 1,
        unfinished_starts: 0,
        due_at: null,
        claim_token: null,
        body: null,
        properties: null,
        ended_at: expect.any(Date) as Date,
      });
    });

    it('settleFailed appends to the history and gives the row a due time or an end', async () => {
      const key = newKey();
      await failing(key, 0);
      const second = await startOne();
      await expect(store().settleFailed(key, second.token, { reason: 'again', next: { retryInMs: 0 } })).resolves.toBe(
        true,
      );
      await expect(harness().row(key)).resolves.toMatchObject({
        status: 'failed',
        unfinished_starts: 0,
        claim_token: null,
      });
      const third = await startOne();
      await store().settleFailed(key, third.token, { reason: 'enough', next: { end: 'dead' } });
      await expect(harness().row(key)).resolves.toMatchObject({
        status: 'dead',
        due_at: null,
        reason: 'enough',
        history: [
          { attempt: 1, reason: 'it broke' },
          { attempt: 2, reason: 'again' },
          { attempt: 3, reason: 'enough' },
        ],
      });
    });

    it('keeps the newest 20 attempts of the history', async () => {
      const key = newKey();
      await failing(key, 0);
      for (let attempt = 2; attempt <= 25; attempt += 1) {
        const { token } = await startOne();
        await store().settleFailed(key, token, { reason: `attempt ${attempt}`, next: { retryInMs: 0 } });
      }
      const row = await harness().row(key);
      expect(row?.history.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
    });

    it('changes nothing with a token that no longer matches', async () => {
      const key = newKey();
      await failing(key, 0);
      const stale = await claimOne();
      await harness().age(key, LEASE_MS * 2);
      const present = await claimOne();

      const transaction = await begin();
      await expect(store().settleHandled(transaction.manager, key, stale.token)).resolves.toBe(false);
      await transaction.commit();
      const failure = { reason: 'late', next: { end: 'dead' as const } };
      await expect(store().settleFailed(key, stale.token, failure)).resolves.toBe(false);
      await expect(store().release(key, stale.token, { attempts: 0, unfinishedStarts: 0 })).resolves.toBe(false);

      await expect(harness().row(key)).resolves.toMatchObject({ status: 'failed', claim_token: present.token });
    });

    it('release gives the row back as if it had not been claimed', async () => {
      const key = newKey();
      await failing(key, 0);
      const { row: before, token } = await claimOne();
      await store().start(key, { token, leaseMs: LEASE_MS }, { attempts: 2, unfinishedStarts: 1 });
      await expect(store().release(key, token, before as ClaimedInboxRow)).resolves.toBe(true);
      await expect(harness().row(key)).resolves.toMatchObject({ attempts: 1, unfinished_starts: 0, claim_token: null });
      const { row } = await claimOne();
      expect(row).toMatchObject({ attempts: 1, unfinishedStarts: 0 });
    });
  });
}
