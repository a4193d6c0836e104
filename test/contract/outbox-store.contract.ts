import { randomBytes, randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import { newEventId } from '../../libs/reliable-mq/src/event/event-id';
import type { ConsumerOutcome } from '../../libs/reliable-mq/src/event/outcome';
import { upTo } from './claim-limit';
import type { OutboxEvent } from '../../libs/reliable-mq/src/outbox/outbox.entity';
import type {
  NewOutboxEvent,
  OutboxStore,
  PublishResult,
  PublishSettlement,
  Receipt,
} from '../../libs/reliable-mq/src/outbox/outbox.store';

const LEASE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** What the suite needs of a database beside the store. */
export interface OutboxHarness {
  readonly store: OutboxStore;
  /** Run in a transaction that commits, or rolls back when the work rejects. */
  transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>;
  find(id: string): Promise<OutboxEvent | null>;
  /** Let rows be due so many milliseconds from now; negative: since so long. */
  setDueIn(ids: readonly string[], ms: number): Promise<void>;
  setEndedAgo(ids: readonly string[], hours: number): Promise<void>;
  /** Lock rows in a transaction that commits after the work. */
  holding(ids: readonly string[], work: (manager: EntityManager) => Promise<void>): Promise<void>;
  /** Change a row in a transaction that holds it, without any rule of the store. */
  overwrite(manager: EntityManager, id: string, values: Partial<OutboxEvent>): Promise<void>;
  /** Resolves when so many statements wait for a lock. */
  waiting(count: number): Promise<void>;
  clear(): Promise<void>;
}

/** An id that was made so many hours ago. */
function oldId(hoursAgo: number): string {
  const time = (Date.now() - hoursAgo * HOUR_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${newEventId().slice(13)}`;
}

/** The rules that every implementation of OutboxStore keeps. */
export function describeOutboxStore(harness: () => OutboxHarness): void {
  const store = (): OutboxStore => harness().store;

  afterEach(() => harness().clear());

  function event(overrides: Partial<NewOutboxEvent> = {}): NewOutboxEvent {
    return {
      id: newEventId(),
      type: 'order.created',
      version: 1,
      payload: '{"orderId": "1"}',
      headers: null,
      consumers: [],
      confirm: true,
      ...overrides,
    };
  }

  /** Events that are inserted and committed, claimed under the token. */
  async function insert(count: number, token: string, overrides: Partial<NewOutboxEvent> = {}): Promise<string[]> {
    const events = Array.from({ length: count }, () => event(overrides));
    await harness().transaction((manager) => store().insert(manager, events, token, LEASE_MS));
    return events.map(({ id }) => id);
  }

  async function insertOne(token: string, overrides: Partial<NewOutboxEvent> = {}): Promise<string> {
    const [id] = await insert(1, token, overrides);
    return id as string;
  }

  async function row(id: string): Promise<OutboxEvent> {
    const found = await harness().find(id);
    if (!found) throw new Error(`there is no row ${id}`);
    return found;
  }

  function settlement(
    id: string,
    token: string,
    result: PublishResult,
    rest: Partial<PublishSettlement> = {},
  ): PublishSettlement {
    return { id, token, result, delayMs: LEASE_MS, reason: null, ...rest };
  }

  function receipt(eventId: string, consumer: string, outcome: ConsumerOutcome, rest: Partial<Receipt> = {}): Receipt {
    const retryAfterMs = outcome === 'retrying' ? 1000 : null;
    const reason = outcome === 'handled' ? null : `${outcome} for a reason`;
    return { eventId, consumer, outcome, reason, retryAfterMs, redrives: 0, ...rest };
  }

  async function claimIds(status: 'pending' | 'published' | 'dead', limit = 100): Promise<string[]> {
    const { events } = await store().claim(status, upTo(limit), LEASE_MS, randomUUID());
    return events.map(({ id }) => id);
  }

  /** An event that a consumer gave up, claimed for its compensation. */
  async function claimedDead(token: string): Promise<string> {
    const id = await insertOne(randomUUID());
    await store().applyReceipts([receipt(id, 'stock', 'rejected')]);
    await store().claim('dead', upTo(1), LEASE_MS, token);
    return id;
  }

  describe('insert', () => {
    it('stores everything that was given, claimed under the token, its first attempt not yet counted', async () => {
      const token = randomUUID();
      const given = event({
        version: 3,
        payload: '{"b":1, "a":"é\\u0001"}',
        headers: { trace: 'x', n: 1 },
        consumers: ['a', 'b'],
      });
      await harness().transaction((manager) => store().insert(manager, [given], token, LEASE_MS));

      expect(await row(given.id)).toMatchObject({
        type: 'order.created',
        version: 3,
        payload: { b: 1, a: 'é\u0001' },
        headers: { trace: 'x', n: 1 },
        consumers: ['a', 'b'],
        confirm: true,
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
      expect(events[0]?.payload).toBe(given.payload);
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

  describe('claim', () => {
    it('takes the rows that are due the longest, up to the limit, and returns them in the order of their ids', async () => {
      const ids = await insert(4, randomUUID());
      const [a, b, c, d] = ids as [string, string, string, string];
      await harness().setDueIn([a], -1000);
      await harness().setDueIn([b], -4000);
      await harness().setDueIn([c], -3000);
      await harness().setDueIn([d], -2000);
      expect(await claimIds('pending', 3)).toEqual([b, c, d]);
      expect(await claimIds('pending', 3)).toEqual([a]);
      expect(await claimIds('pending', 3)).toEqual([]);
    });

    it('counts an attempt, and holds the row under the new token until the lease has run out', async () => {
      const id = await insertOne(randomUUID());
      await harness().setDueIn([id], -1000);
      const token = randomUUID();
      const { events } = await store().claim('pending', upTo(1), LEASE_MS, token);
      expect(events).toMatchObject([
        { id, attempts: 1, redrives: 0, publishedAgoMs: null, outcomes: {}, reason: null },
      ]);
      expect(events[0]?.overdueMs).toBeGreaterThanOrEqual(1000);
      expect(await row(id)).toMatchObject({ attempts: 1, claimToken: token, status: 'pending' });
      expect(await claimIds('pending')).toEqual([]);

      await harness().setDueIn([id], -1);
      const again = await store().claim('pending', upTo(1), LEASE_MS, randomUUID());
      expect(again.events).toMatchObject([{ id, attempts: 2 }]);
    });

    it('takes only rows of the status that is asked for', async () => {
      const token = randomUUID();
      const [pending, published, dead, consumed] = (await insert(4, token)) as [string, string, string, string];
      await store().settle([settlement(published, token, 'published'), settlement(dead, token, 'dead')]);
      await store().applyReceipts([receipt(consumed, 'stock', 'handled')]);
      await harness().setDueIn([pending, published, dead], -1000);
      expect(await claimIds('published')).toEqual([published]);
      expect(await claimIds('dead')).toEqual([dead]);
      expect(await claimIds('pending')).toEqual([pending]);
    });

    it('counts the runs of a compensation apart from the attempts to publish', async () => {
      const id = await claimedDead(randomUUID());
      expect(await row(id)).toMatchObject({ attempts: 1, compensationAttempts: 1 });
    });

    it('passes over rows that another transaction holds, without waiting', async () => {
      const [held, free] = (await insert(2, randomUUID())) as [string, string];
      await harness().setDueIn([held, free], -1000);
      await harness().holding([held], async () => {
        expect(await claimIds('pending')).toEqual([free]);
      });
      expect(await claimIds('pending')).toEqual([held]);
    });

    it('gives each row to one of many who claim at once', async () => {
      const ids = await insert(300, randomUUID());
      await harness().setDueIn(ids, -1000);
      const claimAll = async (): Promise<string[]> => {
        const mine: string[] = [];
        for (let batch = await claimIds('pending', 7); batch.length > 0; batch = await claimIds('pending', 7)) {
          mine.push(...batch);
        }
        return mine;
      };
      const shares = await Promise.all(Array.from({ length: 6 }, claimAll));
      const claimed = shares.flat();
      expect(claimed).toHaveLength(ids.length);
      expect(new Set(claimed)).toEqual(new Set(ids));
    });

    it('takes no more than its bytes of payload hold, and at least one event; says that more may be due', async () => {
      const payloads = ['x', 'x'.repeat(1000), 'ä'.repeat(1000), 'x'].map((text) => JSON.stringify(text));
      const events = payloads.map((payload) => event({ payload }));
      await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
      const [small, large, larger, last] = events.map(({ id }) => id) as [string, string, string, string];
      for (const [n, id] of [small, large, larger, last].entries()) await harness().setDueIn([id], (n - 10) * 1000);
      const limit = { rows: 10, bytes: 1500 };
      const first = await store().claim('pending', limit, LEASE_MS, randomUUID());
      expect(first).toMatchObject({ events: [{ id: small }, { id: large }, { id: larger }], isFull: true });
      expect(first.events).toHaveLength(3);
      const range = { dueFrom: first.lastDueAt ?? '' };
      const second = await store().claim('pending', limit, LEASE_MS, randomUUID(), range);
      expect(second).toMatchObject({ events: [{ id: last }], isFull: false });
      await harness().setDueIn([larger, last], -1000);
      const third = await store().claim('pending', { rows: 10, bytes: 1 }, LEASE_MS, randomUUID());
      expect(third).toMatchObject({ events: [{ id: larger }], isFull: true });
      const exact = await store().claim('pending', { rows: 1, bytes: 1500 }, LEASE_MS, randomUUID());
      expect(exact).toMatchObject({ events: [{ id: last }], isFull: true });
      const none = await store().claim('pending', limit, LEASE_MS, randomUUID());
      expect(none).toEqual({ events: [], lastDueAt: undefined, isFull: false });
    });

    it('counts payloads that the database compresses at the size that they are answered in', async () => {
      const payload = JSON.stringify('x'.repeat(1_000_000));
      const events = [1, 2, 3, 4].map(() => event({ payload }));
      await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
      const ids = events.map(({ id }) => id);
      for (const [n, id] of ids.entries()) await harness().setDueIn([id], (n - 10) * 1000);
      for (const two of [ids.slice(0, 2), ids.slice(2)]) {
        const claim = await store().claim('pending', { rows: 10, bytes: 1_500_000 }, LEASE_MS, randomUUID());
        expect(claim.events.map(({ id }) => id)).toEqual([...two].sort());
      }
    });

    it.each([100, 10_000])('takes rows of %s characters up to the last byte of the limit', async (length) => {
      const payload = JSON.stringify(randomBytes(length / 2).toString('hex'));
      const two = 2 * Buffer.byteLength(payload);
      for (const [bytes, taken] of [
        [two + 1, 3],
        [two, 2],
      ] as const) {
        const events = [1, 2, 3, 4].map(() => event({ payload }));
        await harness().transaction((manager) => store().insert(manager, events, randomUUID(), LEASE_MS));
        const ids = events.map(({ id }) => id);
        await harness().setDueIn(ids, -1000);
        expect((await store().claim('pending', { rows: 4, bytes }, LEASE_MS, randomUUID())).events).toHaveLength(taken);
        await harness().setDueIn(ids, LEASE_MS);
      }
    });

    it('begins at dueFrom, where an earlier claim ended', async () => {
      const [a, b, c] = (await insert(3, randomUUID())) as [string, string, string];
      await harness().setDueIn([a], -3000);
      await harness().setDueIn([b], -2000);
      const first = await store().claim('pending', upTo(2), LEASE_MS, randomUUID());
      expect(first.events.map(({ id }) => id)).toEqual([a, b]);
      // Committed late: it lies before the place where the first claim ended.
      await harness().setDueIn([a], -3000);
      await harness().setDueIn([c], -1000);
      const second = await store().claim('pending', upTo(2), LEASE_MS, randomUUID(), {
        dueFrom: first.lastDueAt ?? '',
      });
      expect(second.events.map(({ id }) => id)).toEqual([c]);
      const third = await store().claim('pending', upTo(2), LEASE_MS, randomUUID());
      expect(third.events.map(({ id }) => id)).toEqual([a]);
      expect((await store().claim('pending', upTo(2), LEASE_MS, randomUUID())).lastDueAt).toBeUndefined();
    });

    it('looks at what has been due for no longer than dueWithinMs', async () => {
      const [long, short, future] = (await insert(3, randomUUID())) as [string, string, string];
      await harness().setDueIn([long], -60_000);
      await harness().setDueIn([short], -1000);
      await harness().setDueIn([future], 60_000);
      const near = await store().claim('pending', upTo(3), LEASE_MS, randomUUID(), { dueWithinMs: 30_000 });
      expect(near.events.map(({ id }) => id)).toEqual([short]);
      const whole = await store().claim('pending', upTo(3), LEASE_MS, randomUUID());
      expect(whole.events.map(({ id }) => id)).toEqual([long]);
    });
  });

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
      expect(unsettled).toEqual([consumed, dead, gone].map((id) => ({ id, token, because: 'ended' })));
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

  describe('applyReceipts', () => {
    it('handled by anyone ends an event without declared consumers', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published')]);
      const { applied, busy } = await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(applied).toEqual([
        {
          eventId: id,
          type: 'order.created',
          statusBefore: 'published',
          status: 'consumed',
          reason: null,
          changed: ['stock'],
        },
      ]);
      expect(busy).toEqual([]);
      expect(await row(id)).toMatchObject({
        status: 'consumed',
        dueAt: null,
        endedAt: expect.any(Date) as Date,
        outcomes: { stock: { outcome: 'handled', reason: null } },
      });
    });

    it('a receipt that comes before the settle ends the event, and the settle changes nothing', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed', attempts: 1, publishedAt: expect.any(Date) as Date });
      for (const result of ['published', 'retry', 'postponed', 'dead'] as const) {
        expect(await store().settle([settlement(id, token, result)])).toMatchObject([{ because: 'ended' }]);
      }
      expect(await row(id)).toMatchObject({ status: 'consumed', dueAt: null });
    });

    it('a receipt of one of several consumers that comes before the settle leaves the claim to it', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'published', claimToken: token });
      expect(await store().settle([settlement(id, token, 'published')])).toEqual([]);
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('a receipt of one of several consumers for a pending event that has long been due makes it due as published from now on', async () => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await harness().setDueIn([id], -3_600_000);
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const { events } = await store().claim('published', upTo(1), LEASE_MS, randomUUID(), { dueWithinMs: 60_000 });
      expect(events.map((event) => event.id)).toEqual([id]);
    });

    it('a duplicate changes nothing, and is not news', async () => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const before = await row(id);
      const { applied } = await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(applied).toMatchObject([{ statusBefore: 'consumed', status: 'consumed', changed: [] }]);
      expect(await row(id)).toEqual(before);
    });

    it.each(['retrying', 'rejected', 'dead'] as const)('handled is never overwritten by %s', async (outcome) => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      const { dueAt } = await row(id);
      await store().applyReceipts([receipt(id, 'stock', outcome, { retryAfterMs: 10 * LEASE_MS })]);
      expect(await row(id)).toMatchObject({ status: 'published', dueAt, outcomes: { stock: { outcome: 'handled' } } });
    });

    it('of several receipts of one consumer in one statement the strongest counts', async () => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([
        receipt(id, 'stock', 'handled'),
        receipt(id, 'stock', 'retrying'),
        receipt(id, 'stock', 'rejected'),
      ]);
      expect(await row(id)).toMatchObject({ status: 'consumed', outcomes: { stock: { outcome: 'handled' } } });
    });

    it('needs every declared consumer, and no other', async () => {
      const id = await insertOne(randomUUID(), { consumers: ['stock', 'mail'] });
      await store().applyReceipts([receipt(id, 'stock', 'handled'), receipt(id, 'stranger', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'published', outcomes: { stranger: { outcome: 'handled' } } });
      await store().applyReceipts([receipt(id, 'stranger', 'rejected'), receipt(id, 'third', 'rejected')]);
      expect(await row(id)).toMatchObject({ status: 'published' });
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('retrying moves the chase beyond the next attempt of the consumer', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: 1000 })]);
      expect(await claimIds('published')).toEqual([]);
      expect(await row(id)).toMatchObject({
        status: 'published',
        outcomes: { stock: { outcome: 'retrying', reason: 'retrying for a reason' } },
      });
    });

    it('retrying before the settle is not undone by the settle', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: HOUR_MS })]);
      const { dueAt } = await row(id);
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      expect(await row(id)).toMatchObject({ status: 'published', dueAt });
    });

    it('retrying never brings the chase nearer', async () => {
      const token = randomUUID();
      const id = await insertOne(token);
      await store().settle([settlement(id, token, 'published', { delayMs: HOUR_MS })]);
      const { dueAt } = await row(id);
      await store().applyReceipts([receipt(id, 'stock', 'retrying', { retryAfterMs: 0 })]);
      expect(await row(id)).toMatchObject({ dueAt });
    });

    it('retrying moves no chase while another declared consumer has not reported, or when a stranger retries', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { consumers: ['stock', 'mail'] });
      await store().settle([settlement(id, token, 'published', { delayMs: 0 })]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying'), receipt(id, 'stranger', 'retrying')]);
      expect(await claimIds('published')).toEqual([id]);
      await harness().setDueIn([id], -1);
      await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      await store().applyReceipts([receipt(id, 'stranger', 'retrying')]);
      expect(await claimIds('published')).toEqual([id]);
      await harness().setDueIn([id], -1);
      await store().applyReceipts([receipt(id, 'stock', 'retrying')]);
      expect(await claimIds('published')).toEqual([]);
    });

    it.each(['rejected', 'dead'] as const)(
      '%s ends the event dead, due at once for its compensation, and names the consumer',
      async (outcome) => {
        const token = randomUUID();
        const id = await insertOne(token, { consumers: ['stock', 'mail'] });
        const { applied } = await store().applyReceipts([
          receipt(id, 'mail', 'handled'),
          receipt(id, 'stock', outcome, { reason: 'sold out' }),
        ]);
        expect(applied).toMatchObject([
          { statusBefore: 'pending', status: 'dead', reason: `stock ${outcome}: sold out` },
        ]);
        expect(await row(id)).toMatchObject({
          status: 'dead',
          reason: `stock ${outcome}: sold out`,
          claimToken: null,
          endedAt: expect.any(Date) as Date,
        });
        expect(await claimIds('dead')).toEqual([id]);
        expect(await store().settle([settlement(id, token, 'published')])).toMatchObject([{ because: 'ended' }]);
      },
    );

    it.each(['rejected', 'dead'] as const)('%s is not overwritten by retrying', async (outcome) => {
      const id = await insertOne(randomUUID());
      await store().applyReceipts([receipt(id, 'stock', outcome)]);
      await store().applyReceipts([receipt(id, 'stock', 'retrying')]);
      expect(await row(id)).toMatchObject({ status: 'dead', outcomes: { stock: { outcome } } });
    });

    it('a late handled is kept and reported beside the end, which stands', async () => {
      const token = randomUUID();
      const id = await claimedDead(token);
      const before = await row(id);
      const { applied } = await store().applyReceipts([receipt(id, 'mail', 'handled')]);
      expect(applied).toMatchObject([{ statusBefore: 'dead', status: 'dead', changed: ['mail'] }]);
      const after = await row(id);
      expect(after.outcomes).toMatchObject({ mail: { outcome: 'handled' }, stock: { outcome: 'rejected' } });
      after.outcomes = before.outcomes;
      expect(after).toEqual(before);
    });

    it('a failure of the time before a redrive says nothing about the event as it is now', async () => {
      const id = await insertOne(randomUUID());
      await harness().transaction((manager) => harness().overwrite(manager, id, { redrives: 1 }));
      await store().applyReceipts([
        receipt(id, 'stock', 'dead'),
        receipt(id, 'mail', 'retrying', { retryAfterMs: HOUR_MS }),
      ]);
      expect(await row(id)).toMatchObject({ status: 'published', outcomes: {} });
      await store().applyReceipts([receipt(id, 'stock', 'dead', { redrives: 1 })]);
      expect(await row(id)).toMatchObject({ status: 'dead' });
    });

    it('handled counts whichever redrive it is of', async () => {
      const id = await insertOne(randomUUID());
      await harness().transaction((manager) => harness().overwrite(manager, id, { redrives: 1 }));
      await store().applyReceipts([receipt(id, 'stock', 'handled')]);
      expect(await row(id)).toMatchObject({ status: 'consumed' });
    });

    it('leaves out unknown events, and events that expect no receipts', async () => {
      const token = randomUUID();
      const id = await insertOne(token, { confirm: false });
      await store().settle([settlement(id, token, 'published')]);
      const before = await row(id);
      expect(
        await store().applyReceipts([receipt(id, 'stock', 'dead'), receipt(newEventId(), 'stock', 'handled')]),
      ).toEqual({ applied: [], busy: [] });
      expect(await row(id)).toEqual(before);
    });

    it('does not wait for a running compensation: its event is busy, the others are written', async () => {
      const token = randomUUID();
      const dead = await claimedDead(token);
      const other = await insertOne(randomUUID());
      await harness().transaction(async (manager) => {
        await store().settleCompensated(manager, dead, token, true);
        const { applied, busy } = await store().applyReceipts([
          receipt(dead, 'mail', 'handled'),
          receipt(other, 'stock', 'handled'),
        ]);
        expect(applied).toMatchObject([{ eventId: other, status: 'consumed' }]);
        expect(busy).toEqual([dead]);
      });
      expect((await store().applyReceipts([receipt(dead, 'mail', 'handled')])).busy).toEqual([]);
      expect(await row(dead)).toMatchObject({
        compensatedAt: expect.any(Date) as Date,
        outcomes: { mail: { outcome: 'handled' } },
      });
    });

    it('decides on what a row has become while it waited for it', async () => {
      const [died, settled] = (await insert(2, randomUUID())) as [string, string];
      let applying: Promise<unknown> = Promise.resolve();
      await harness().holding([died, settled], async (manager) => {
        applying = store().applyReceipts([receipt(died, 'stock', 'handled'), receipt(settled, 'stock', 'handled')]);
        await harness().waiting(1);
        await harness().overwrite(manager, died, { status: 'dead', claimToken: null });
        await harness().overwrite(manager, settled, {
          status: 'published',
          outcomes: { mail: { outcome: 'retrying', reason: null, at: '' } },
        });
      });
      expect(await applying).toMatchObject({
        applied: [{ eventId: settled, statusBefore: 'published', status: 'consumed' }],
        busy: [died],
      });
      expect(await row(settled)).toMatchObject({
        outcomes: { mail: { outcome: 'retrying' }, stock: { outcome: 'handled' } },
      });
    });
  });

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

  describe('prune', () => {
    async function ended(count: number, hoursAgo: number): Promise<string[]> {
      const token = randomUUID();
      const events = Array.from({ length: count }, () => event({ id: oldId(hoursAgo + 1) }));
      await harness().transaction((manager) => store().insert(manager, events, token, LEASE_MS));
      const ids = events.map(({ id }) => id);
      await store().applyReceipts(ids.map((id) => receipt(id, 'stock', 'handled')));
      await harness().setEndedAgo(ids, hoursAgo);
      return ids;
    }

    it('deletes consumed events, and published ones that nobody confirms, when they ended long enough ago', async () => {
      const consumed = await ended(2, 100);
      const recent = await ended(1, 10);
      const token = randomUUID();
      const published = event({ id: oldId(101), confirm: false });
      await harness().transaction((manager) => store().insert(manager, [published], token, LEASE_MS));
      await store().settle([settlement(published.id, token, 'published')]);
      await harness().setEndedAgo([published.id], 100);
      expect(await store().prune(72, 10)).toEqual([...consumed, published.id].sort());
      expect(await harness().find(recent[0] as string)).not.toBeNull();
    });

    it('never deletes dead or unfinished events, however old', async () => {
      const token = randomUUID();
      const old = Array.from({ length: 4 }, () => event({ id: oldId(1000) }));
      await harness().transaction((manager) => store().insert(manager, old, token, LEASE_MS));
      const [, published, dead, compensated] = old.map(({ id }) => id) as [string, string, string, string];
      await store().settle([settlement(published, token, 'published')]);
      await store().applyReceipts([receipt(dead, 'stock', 'dead'), receipt(compensated, 'stock', 'dead')]);
      const claim = randomUUID();
      await store().claim('dead', upTo(2), LEASE_MS, claim);
      await store().settleCompensated(undefined, compensated, claim, false);
      await harness().setEndedAgo([dead, compensated], 1000);
      expect(await store().prune(0, 10)).toEqual([]);
    });

    it('goes on after the last one in batches of the limit, passing over what it must not delete', async () => {
      const ids = await ended(5, 100);
      const kept = event({ id: oldId(1000) });
      await harness().transaction((manager) => store().insert(manager, [kept], randomUUID(), LEASE_MS));
      const sorted = [...ids].sort();
      const first = await store().prune(72, 2);
      expect(first).toEqual(sorted.slice(0, 2));
      const second = await store().prune(72, 2, first.at(-1));
      expect(second).toEqual(sorted.slice(2, 4));
      expect(await store().prune(72, 2, second.at(-1))).toEqual(sorted.slice(4));
      expect(await harness().find(kept.id)).not.toBeNull();
    });

    it('passes over rows that another transaction holds, and two who prune at once delete each row once', async () => {
      const ids = await ended(40, 100);
      const held = ids[0] as string;
      await harness().holding([held], async () => {
        const shares = await Promise.all([store().prune(72, 30), store().prune(72, 30), store().prune(72, 30)]);
        const deleted = shares.flat();
        expect(new Set(deleted).size).toBe(deleted.length);
        expect(deleted).not.toContain(held);
      });
      await store().prune(72, 100);
      for (const id of ids) expect(await harness().find(id)).toBeNull();
    });
  });

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
