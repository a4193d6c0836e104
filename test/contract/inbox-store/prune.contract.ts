import { newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describePrune(harness: () => InboxHarness): void {
  const { store, failing } = inboxFixture(harness);

  it('prune deletes ended rows of the given age, oldest first, and nothing that is due', async () => {
    const [old, older, recent, unfinished] = [newKey(), newKey(), newKey(), newKey()];
    for (const key of [old, older, recent]) await store().park(key, message(), 'no');
    await failing(unfinished, 0);
    const hour = 3_600_000;
    await harness().age(old, 3 * hour);
    await harness().age(older, 4 * hour);
    await harness().age(unfinished, 5 * hour);

    await expect(store().prune(2, 1)).resolves.toMatchObject({ count: 1 });
    await expect(harness().row(older)).resolves.toBeUndefined();
    await expect(store().prune(2, 10)).resolves.toMatchObject({ count: 1 });
    await expect(store().prune(2, 10)).resolves.toEqual({ count: 0, lastEndedAt: undefined });
    for (const key of [recent, unfinished]) await expect(harness().row(key)).resolves.toBeDefined();
  });

  it('prune begins at endedFrom, where an earlier call ended', async () => {
    const [first, second, passedOver] = [newKey(), newKey(), newKey()];
    for (const key of [first, second, passedOver]) await store().park(key, message(), 'no');
    const hour = 3_600_000;
    await harness().age(first, 4 * hour);
    await harness().age(second, 3 * hour);
    const { count, lastEndedAt } = await store().prune(2, 1);
    expect(count).toBe(1);
    await harness().age(passedOver, 5 * hour);
    await expect(store().prune(2, 10, lastEndedAt)).resolves.toMatchObject({ count: 1 });
    await expect(harness().row(second)).resolves.toBeUndefined();
    await expect(harness().row(passedOver)).resolves.toBeDefined();
    await expect(store().prune(2, 10)).resolves.toMatchObject({ count: 1 });
  });
}
