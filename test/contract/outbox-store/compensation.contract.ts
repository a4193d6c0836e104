import { randomUUID } from 'node:crypto';
import { outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeCompensation(harness: () => OutboxHarness): void {
  const { store, row, claimIds, claimedDead } = outboxFixture(harness);

  describe('settleCompensated and settleCompensationFailed', () => {
    it('ends the compensation with its handler’s transaction', async () => {
      const token = randomUUID();
      const id = await claimedDead(token);
      await expect(
        harness().transaction(async (manager) => {
          expect(await store().settleCompensated(manager, id, token, true)).toBe(true);
          throw new Error('the handler failed');
        }),
      ).rejects.toThrow('the handler failed');
      expect(await row(id)).toMatchObject({ compensatedAt: null, claimToken: token });

      await harness().transaction((manager) => store().settleCompensated(manager, id, token, true));
      expect(await row(id)).toMatchObject({
        status: 'dead',
        dueAt: null,
        claimToken: null,
        compensatedAt: expect.any(Date) as Date,
      });
      expect(await claimIds('dead')).toEqual([]);
    });

    it('ends an event that has no compensation handler without saying that it was compensated', async () => {
      const token = randomUUID();
      const id = await claimedDead(token);
      expect(await store().settleCompensated(undefined, id, token, false)).toBe(true);
      expect(await row(id)).toMatchObject({ status: 'dead', dueAt: null, compensatedAt: null });
    });

    it('is due again with the reason in its history when the handler has failed', async () => {
      const token = randomUUID();
      const id = await claimedDead(token);
      expect(await store().settleCompensationFailed(id, token, 'no connection', 0)).toBe(true);
      expect((await row(id)).history).toMatchObject([{ attempt: 1, reason: 'compensation failed: no connection' }]);
      expect(await claimIds('dead')).toEqual([id]);
    });

    it('changes nothing under another token', async () => {
      const id = await claimedDead(randomUUID());
      const before = await row(id);
      const late = randomUUID();
      expect(await harness().transaction((manager) => store().settleCompensated(manager, id, late, true))).toBe(false);
      expect(await store().settleCompensated(undefined, id, late, false)).toBe(false);
      expect(await store().settleCompensationFailed(id, late, 'late', 0)).toBe(false);
      expect(await row(id)).toEqual(before);
    });
  });
}
