import { LEASE_MS, WAIT_MS, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describeInsertFailure(harness: () => InboxHarness): void {
  const { store, begin, startOne } = inboxFixture(harness);

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

    it('keeps where it was thrown with the attempt, and knows it as long as the reason is that of the attempt', async () => {
      const key = newKey();
      const where = 'StockService.deduct (stock.service.ts:41)';
      await store().insertFailure(key, message(), { reason: 'it broke', where, next: { retryInMs: 0 } }, WAIT_MS);
      expect((await harness().row(key))?.history).toEqual([
        { attempt: 1, reason: 'it broke', where, at: expect.any(String) as string },
      ]);
      expect(await store().find(key)).toMatchObject({ reason: 'it broke', where });

      const { token } = await startOne();
      await store().settleFailed(key, token, { reason: 'again', where: 'x (y.ts:1)', next: { retryInMs: 0 } });
      expect((await harness().row(key))?.history).toMatchObject([{ where }, { reason: 'again', where: 'x (y.ts:1)' }]);
      const next = await startOne();
      await store().settleFailed(key, next.token, { reason: 'elsewhere', next: { retryInMs: 0 } });
      const row = await harness().row(key);
      expect(row?.history).toHaveLength(3);
      expect(row?.history[2]).not.toHaveProperty('where');
      expect(await store().find(key)).not.toHaveProperty('where');
      const waiting = await startOne();
      await store().settleFailed(key, waiting.token, { reason: 'it waits', next: { waitMs: 1000 } });
      expect(await store().find(key)).not.toHaveProperty('where');
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
