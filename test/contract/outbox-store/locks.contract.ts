import { randomUUID } from 'node:crypto';
import { upTo } from '../claim-limit';
import { LEASE_MS, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeLocks(harness: () => OutboxHarness): void {
  const { store, insert, row, settlement, receipt } = outboxFixture(harness);

  it('never deadlocks: settles and receipts over the same events in any order, from many connections', async () => {
    for (let round = 0; round < 15; round += 1) {
      const token = randomUUID();
      const ids = await insert(60, token, { consumers: ['stock', 'mail'] });
      const shuffled = (): string[] => [...ids].sort(() => Math.random() - 0.5);
      await Promise.all([
        ...Array.from({ length: 3 }, () => store().settle(shuffled().map((id) => settlement(id, token, 'published')))),
        ...Array.from({ length: 3 }, () =>
          store().applyReceipts(shuffled().map((id) => receipt(id, 'stock', 'handled'))),
        ),
        store().applyReceipts(shuffled().map((id) => receipt(id, 'mail', 'handled'))),
        store().claim('published', upTo(30), LEASE_MS, randomUUID()),
      ]);
      expect(await row(ids[0] as string)).toMatchObject({ status: 'consumed' });
    }
  });
}
