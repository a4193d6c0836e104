import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { upTo } from '../claim-limit';
import { LEASE_MS, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeSettle(harness: () => OutboxHarness): void {
  const { store, insert, insertOne, row, settlement, receipt, claimIds } = outboxFixture(harness);

  describe('settle', () => {
    it('published: waits for receipts until the delay is over', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      expect(await store().settle([settlement(id, token, 'published')])).toEqual([]);
      expect(await row(id)).toMatchObject({
        status: 'published',
        attempts: 1,
        claimToken: null,
        reason: null,
        endedAt: null,
        publishedAt: expect.any(Date) as Date,
      });
      expect(await claimIds('published')).toEqual([]);
      await harness().setDueIn([id], -1);
      expect(await claimIds('published')).toEqual([id]);
    });

    it('published again after a chase: waits for the delay, and not for the lease of the chase', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      const chase = randomUUID();
      await store().claim('published', upTo(1), LEASE_MS, chase);
      await store().settle([settlement(id, chase, 'published', { delayMs: 0 })]);
      expect(await claimIds('published')).toEqual([id]);
    });

    it('published: ends an event that nobody confirms', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { confirm: false });
      await store().settle([settlement(id, token, 'published')]);
      expect(await row(id)).toMatchObject({ status: 'published', dueAt: null, endedAt: expect.any(Date) as Date });
    });

    it('retry: stays pending with the reason, which is added to the history', async () => {
      const id = await insertOne(randomUUID());
      for (const reason of ['no queue is bound', 'the broker refused']) {
        await harness().setDueIn([id], -1);
        const token = randomUUID();
        await store().claim('pending', upTo(1), LEASE_MS, token);
        await store().settle([settlement(id, token, 'retry', { reason })]);
      }
      const settled = await row(id);
      expect(settled).toMatchObject({
        status: 'pending',
        attempts: 2,
        reason: 'the broker refused',
        claimToken: null,
        endedAt: null,
      });
      expect(settled.history).toMatchObject([
        { attempt: 1, reason: 'no queue is bound' },
        { attempt: 2, reason: 'the broker refused' },
      ]);
    });

    it('retry: an event that was published before becomes pending again and is known to have been published', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      const chase = randomUUID();
      await store().claim('published', upTo(1), LEASE_MS, chase);
      await store().settle([settlement(id, chase, 'retry', { delayMs: 0, reason: 'its queue is gone' })]);
      const { events } = await store().claim('pending', upTo(1), LEASE_MS, randomUUID());
      expect(events).toMatchObject([
        { id, publishedAgoMs: expect.any(Number) as number, attempts: 3, reason: 'its queue is gone' },
      ]);
    });

    it('postponed: keeps its status, gives the attempt back, and leaves the history alone', async () => {
      const token = randomUUID();
      const [born, chased] = (await insert(2, token)) as [string, string];
      await store().settle([
        settlement(born, token, 'postponed', { delayMs: 0, reason: 'not connected' }),
        settlement(chased, token, 'published', { delayMs: 0 }),
      ]);
      const chase = randomUUID();
      await store().claim('published', upTo(1), LEASE_MS, chase);
      await store().settle([settlement(chased, chase, 'postponed', { delayMs: 0, reason: 'not connected' })]);
      expect(await row(born)).toMatchObject({
        status: 'pending',
        attempts: 0,
        reason: 'not connected',
        history: [],
        claimToken: null,
      });
      expect(await row(chased)).toMatchObject({
        status: 'published',
        attempts: 1,
        reason: 'not connected',
        history: [],
        claimToken: null,
      });
      const { events } = await store().claim('pending', upTo(1), LEASE_MS, randomUUID());
      expect(events).toMatchObject([{ id: born, attempts: 1 }]);
    });

    it('dead: ends it with the reason, due at once for its compensation', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'dead', { delayMs: 0, reason: 'given up' })]);
      expect(await row(id)).toMatchObject({
        status: 'dead',
        reason: 'given up',
        endedAt: expect.any(Date) as Date,
        history: [{ attempt: 1, reason: 'given up' }],
      });
      expect(await claimIds('dead')).toEqual([id]);
    });

    it('keeps the newest twenty entries of the history', async () => {
      const id = await insertOne(randomUUID());
      for (let attempt = 1; attempt <= 25; attempt += 1) {
        await harness().setDueIn([id], -1);
        const token = randomUUID();
        await store().claim('pending', upTo(1), LEASE_MS, token);
        await store().settle([settlement(id, token, 'retry', { reason: `failed ${attempt}` })]);
      }
      const { history } = await row(id);
      expect(history.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
    });

    it('stores a reason whatever characters it holds', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'retry', { reason: 'a\u0000b\ud800c' })]);
      expect((await row(id)).reason).toBe('ab\ufffdc');
    });

    it.each(['published', 'retry', 'postponed', 'dead'] as const)(
      '%s changes nothing under another token',
      async (result) => {
        const token = randomUUID();
        const [mine, other] = (await insert(2, token)) as [string, string];
        const before = await row(other);
        const late = randomUUID();
        const unsettled = await store().settle([settlement(other, late, result), settlement(mine, token, 'published')]);
        expect(unsettled).toEqual([{ id: other, token: late, because: 'claim-lost' }]);
        expect(await row(other)).toEqual(before);
        expect(await row(mine)).toMatchObject({ status: 'published' });
      },
    );

    it('tells apart what was lost and what has ended, and is silent on what was written', async () => {
      const token = randomUUID();
      const [settled, consumed, dead] = (await insert(3, token)) as [string, string, string];
      const gone = newEventId();
      await store().applyReceipts([receipt(consumed, 'stock', 'handled'), receipt(dead, 'stock', 'dead')]);
      const unsettled = await store().settle(
        [settled, consumed, dead, gone].map((id) => settlement(id, token, 'published')),
      );
      expect(unsettled).toEqual([
        { id: consumed, token, because: 'ended' },
        { id: dead, token, because: 'ended' },
        { id: gone, token, because: 'missing' },
      ]);
      expect(await store().settle([settlement(settled, token, 'published')])).toEqual([
        { id: settled, token, because: 'claim-lost' },
      ]);
      expect(await row(consumed)).toMatchObject({ status: 'consumed', dueAt: null });
    });

    it('takes two outcomes of one event, of which one token matches', async () => {
      const id = await insertOne(randomUUID());
      await harness().setDueIn([id], -1);
      const token = randomUUID();
      await store().claim('pending', upTo(1), LEASE_MS, token);
      const late = randomUUID();
      const unsettled = await store().settle([settlement(id, late, 'dead'), settlement(id, token, 'published')]);
      expect(unsettled).toEqual([{ id, token: late, because: 'claim-lost' }]);
      expect(await row(id)).toMatchObject({ status: 'published' });
    });

    it('decides on what a row has become while it waited for it', async () => {
      const token = randomUUID();
      const [claimedAnew, ended, free] = (await insert(3, token)) as [string, string, string];
      let settling: Promise<unknown> = Promise.resolve();
      await harness().holding([claimedAnew, ended], async (manager) => {
        settling = store().settle([claimedAnew, ended, free].map((id) => settlement(id, token, 'published')));
        await harness().waiting(1);
        await harness().overwrite(manager, claimedAnew, { claimToken: randomUUID() });
        await harness().overwrite(manager, ended, { status: 'consumed', dueAt: null, claimToken: null });
      });
      expect(await settling).toEqual([
        { id: claimedAnew, token, because: 'claim-lost' },
        { id: ended, token, because: 'ended' },
      ]);
      expect(await row(claimedAnew)).toMatchObject({ status: 'pending' });
      expect(await row(ended)).toMatchObject({ status: 'consumed', dueAt: null });
      expect(await row(free)).toMatchObject({ status: 'published' });
    });
  });
}
