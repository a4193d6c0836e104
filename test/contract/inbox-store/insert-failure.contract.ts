import { LEASE_MS, WAIT_MS, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeInsertFailure(harness: () => InboxHarness): void {
  const { store, begin } = inboxFixture(harness);

  describe('insertFailure', () => {
    it('stores a failure with its bytes, its history and its due time', async () => {
      const key = newKey();
      const failure = { reason: 'it broke', next: { retryInMs: 30_000 } };
      await expect(store().insertFailure(key, message(), failure, WAIT_MS)).resolves.toBe(true);

      const row = await harness().row(key);
      expect(row).toMatchObject({
        status: 'failed',
        attempts: 1,
        unfinished_starts: 0,
        reason: 'it broke',
        history: [{ attempt: 1, reason: 'it broke', at: expect.any(String) as string }],
        ended_at: null,
        properties: { routingKey: 'order.created', headers: { n: 1 } },
      });
      expect(row?.due_in_ms).toBeGreaterThan(15_000);
      expect(row?.due_in_ms).toBeLessThanOrEqual(30_000);
    });

    it.each(['rejected', 'dead'] as const)('stores %s as an end', async (end) => {
      const key = newKey();
      await store().insertFailure(key, message(), { reason: 'no', next: { end } }, WAIT_MS);
      await expect(harness().row(key)).resolves.toMatchObject({
        status: end,
        due_at: null,
        ended_at: expect.any(Date) as Date,
      });
    });

    it('changes nothing when there is a row', async () => {
      const key = newKey();
      const handled = await begin();
      await store().insertHandled(handled.manager, key, message(), LEASE_MS);
      await handled.commit();
      const failure = { reason: 'late', next: { end: 'dead' as const } };
      await expect(store().insertFailure(key, message(), failure, WAIT_MS)).resolves.toBe(false);
      await expect(harness().row(key)).resolves.toMatchObject({ status: 'handled', reason: null });
    });
  });
}
