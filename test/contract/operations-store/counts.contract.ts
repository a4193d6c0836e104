import { HOUR_MS, operationsFixture, type OperationsHarness } from './operations-fixture';

export function describeCounts(harness: () => OperationsHarness): void {
  const { operations, record, report, dead, handlingOf, fail, handle } = operationsFixture(harness);

  it('statistics count what is unfinished and what is given up, apart', async () => {
    expect(await operations().statistics()).toEqual({
      outbox: {
        pending: 0,
        published: 0,
        dead: 0,
        compensating: 0,
        compensated: 0,
        needPerson: 0,
        oldestOverdueMs: 0,
        estimatedRows: 0,
      },
      inbox: { failed: 0, rejected: 0, dead: 0, oldestOverdueMs: 0, estimatedRows: 0, paused: [] },
    });
    await dead(3, false);
    await dead(4, true);
    const [published, compensating] = [await record(2), await record(5)];
    await report(published, 'mail', 'retrying');
    await report(compensating, 'stock', 'dead');
    await record(1);
    await fail(handlingOf());
    await fail(handlingOf(), { waitMs: HOUR_MS });
    await fail(handlingOf(), { end: 'rejected' });
    for (let count = 0; count < 3; count += 1) await fail(handlingOf(), { end: 'dead' });
    await handle(6);
    const { outbox, inbox } = await operations().statistics();
    expect(outbox).toMatchObject({
      pending: 1,
      published: 2,
      dead: 12,
      compensating: 5,
      compensated: 4,
      needPerson: 3,
      estimatedRows: 15,
    });
    expect(outbox.oldestOverdueMs).toBeGreaterThanOrEqual(0);
    expect(inbox).toEqual({ failed: 2, rejected: 1, dead: 3, oldestOverdueMs: 0, estimatedRows: 12, paused: [] });
    for (const table of ['outbox', 'inbox'] as const) {
      await harness().database.makeDue(table, 60_000);
      expect((await operations().statistics())[table].oldestOverdueMs).toBeGreaterThanOrEqual(60_000);
    }
  });

  it('kinds are each consumer and type once, with what is unfinished, and for how long it has been due', async () => {
    expect(await operations().inboxKinds()).toEqual([]);
    await fail(handlingOf(), { retryInMs: 0 });
    await harness().database.makeDue('inbox', 60_000);
    await fail(handlingOf(), { waitMs: HOUR_MS });
    await handle(1);
    await fail(handlingOf(undefined, 'stock', 'order.moved'));
    await fail(handlingOf(undefined, 'stock.audit'), { end: 'dead' });
    const kinds = await operations().inboxKinds();
    const named = kinds.map(({ consumer, type, unfinished }) => [consumer, type, unfinished]);
    expect(named).toEqual([
      ['stock', 'order.created', 2],
      ['stock', 'order.moved', 1],
      ['stock.audit', 'order.created', 0],
    ]);
    const [overdue, ahead, ended] = kinds.map(({ overdueMs }) => overdueMs);
    expect(overdue).toBeGreaterThanOrEqual(60_000);
    expect(ahead).toBeLessThan(0);
    expect(ended).toBe(0);
  });
}
