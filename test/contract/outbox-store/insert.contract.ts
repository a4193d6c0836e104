import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import { upTo } from '../claim-limit';
import { LEASE_MS, outboxFixture, type OutboxHarness } from './outbox-fixture';

export function describeInsert(harness: () => OutboxHarness): void {
  const { store, event, insert, insertOne, row, settlement, claimIds } = outboxFixture(harness);

  describe('insert', () => {
    it('stores everything that was given, claimed under the token, its first attempt not yet counted', async () => {
      const token = randomUUID();
      const given = event({
        version: 3,
        payload: '{"b":1, "a":"é\\u0001"}',
        headers: { trace: 'x', n: 1 },
        consumers: ['a', 'b'],
        key: '订单 7',
        causationId: newEventId(),
      });
      await harness().transaction((manager) => store().insert(manager, [given], token, LEASE_MS));

      expect(await row(given.id)).toMatchObject({
        type: 'order.created',
        version: 3,
        payload: { b: 1, a: 'é\u0001' },
        headers: { trace: 'x', n: 1 },
        consumers: ['a', 'b'],
        confirm: true,
        key: '订单 7',
        causationId: given.causationId,
        archivedAt: null,
        status: 'pending',
        attempts: 0,
        claimToken: token,
        outcomes: {},
        history: [],
        publishedAt: null,
        endedAt: null,
      });
      await harness().setDueIn([given.id], -1);
      const { events } = await store().claim('pending', upTo(1), LEASE_MS, randomUUID());
      expect(events[0]).toMatchObject({ payload: given.payload, key: '订单 7', causationId: given.causationId });
    });

    it('is not due before its lease has run out', async () => {
      await insert(1, randomUUID());
      expect(await claimIds('pending')).toEqual([]);
    });

    it('is undone with its transaction', async () => {
      const given = event();
      await expect(
        harness().transaction(async (manager) => {
          await store().insert(manager, [given], randomUUID(), LEASE_MS);
          throw new Error('the business failed');
        }),
      ).rejects.toThrow('the business failed');
      expect(await harness().find(given.id)).toBeNull();
    });

    it('takes ten thousand events with one statement', async () => {
      const token = randomUUID();
      const ids = await insert(10_000, token);
      expect((await store().existing(ids, token)).size).toBe(10_000);
    });
  });

  describe('existing', () => {
    it('knows the rows that are there and still claimed under the token', async () => {
      const token = randomUUID();
      const [mine, settled] = (await insert(2, token)) as [string, string];
      const foreign = await insertOne(randomUUID());
      await store().settle([settlement(settled, token, 'published')]);
      expect([...(await store().existing([mine, settled, foreign, newEventId()], token))]).toEqual([mine]);
    });
  });
}
