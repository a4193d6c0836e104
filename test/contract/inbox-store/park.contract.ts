import { LEASE_MS, newKey, message, inboxFixture, type InboxHarness } from './inbox-fixture';

export function describePark(harness: () => InboxHarness): void {
  const { store, begin, failing } = inboxFixture(harness);

  it('find tells where a row stands', async () => {
    const key = newKey();
    await expect(store().find(key)).resolves.toBeUndefined();
    await failing(key, 60_000);
    const row = await store().find(key);
    expect(row).toMatchObject({ status: 'failed', attempts: 1, redrives: 0, reason: 'it broke' });
    expect(row?.dueInMs).toBeGreaterThan(30_000);
    await expect(store().find({ ...key, consumer: 'other' })).resolves.toBeUndefined();
  });

  it('park keeps the bytes once, as rejected, without an attempt', async () => {
    const key = newKey();
    await expect(store().park(key, message(), 'not JSON')).resolves.toBe(true);
    await expect(store().park(key, message(), 'not JSON')).resolves.toBe(false);
    const row = await harness().row(key);
    expect(row).toMatchObject({ status: 'rejected', attempts: 0, due_at: null, reason: 'not JSON' });
    expect(row?.body).toEqual(Buffer.from('{"a":1}'));
  });

  it('park puts aside again what was put aside before: with its new reason, and now', async () => {
    const [key, handled] = [newKey(), newKey()];
    await store().park(key, message(), 'not JSON');
    await harness().age(key, 60_000);
    await expect(store().park(key, message({ properties: { moved: 'back' } }), 'still not')).resolves.toBe(false);
    const row = await harness().row(key);
    expect(row).toMatchObject({ status: 'rejected', reason: 'still not', properties: { moved: 'back' } });
    expect(Date.now() - (row as unknown as { ended_at: Date }).ended_at.getTime()).toBeLessThan(30_000);
    const transaction = await begin();
    await store().insertHandled(transaction.manager, handled, message(), LEASE_MS);
    await transaction.commit();
    await expect(store().park(handled, message(), 'no')).resolves.toBe(false);
    await expect(harness().row(handled)).resolves.toMatchObject({ status: 'handled' });
  });

  it('unpark forgets what was put aside, and nothing else', async () => {
    const [parked, due] = [newKey(), newKey()];
    await store().park(parked, message(), 'no');
    await failing(due, 0);
    for (const key of [parked, due]) await store().unpark(key);
    await expect(harness().row(parked)).resolves.toBeUndefined();
    await expect(harness().row(due)).resolves.toMatchObject({ status: 'failed' });
  });
}
