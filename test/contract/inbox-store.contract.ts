import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import type {
  ClaimableQueue,
  InboxKey,
  InboxMessage,
  InboxStore,
  ClaimedInboxRow,
  IdentifiedMessage,
} from '../../libs/reliable-mq/src/inbox/inbox.store';
import { eventually } from '../support/eventually';

/** A store on a real database, with what the suite needs to look at it from outside. */
export interface InboxHarness {
  readonly store: InboxStore;
  readonly dataSource: DataSource;
  /** The row as the database has it. */
  row(key: InboxKey): Promise<StoredRow | undefined>;
  /** Moves the row's `due_at` and `ended_at` into the past. */
  age(key: InboxKey, byMs: number): Promise<void>;
  /** How many sessions wait for a lock now. */
  waitingForLocks(): Promise<number>;
  clear(): Promise<void>;
  dispose(): Promise<void>;
}

export interface StoredRow {
  readonly type: string;
  readonly version: number;
  readonly status: string;
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly claim_token: string | null;
  readonly reason: string | null;
  readonly history: readonly { attempt: number; at: string; reason: string }[];
  readonly body: Buffer | null;
  readonly properties: Record<string, unknown> | null;
  readonly redrives: number;
  readonly event_key: string | null;
  readonly due_at: Date | null;
  readonly ended_at: Date | null;
  /** By the database's clock. */
  readonly due_in_ms: number | null;
}

const LEASE_MS = 60_000;
const WAIT_MS = 10_000;
const STOCK = { consumer: 'stock', type: 'order.created' };
const queue: ClaimableQueue = { ...STOCK, versions: [1], leaseMs: LEASE_MS, waitMs: 3_600_000, limit: 100 };

function newKey(consumer = 'stock', type = 'order.created'): InboxKey {
  return { eventId: randomUUID(), consumer, type };
}

function message(overrides: Partial<InboxMessage> = {}): InboxMessage {
  return {
    version: 1,
    body: Buffer.from('{"a":1}'),
    properties: { routingKey: 'order.created', headers: { n: 1 } },
    redrives: 0,
    bodyHash: null,
    key: null,
    ...overrides,
  };
}

function shared(keys: readonly InboxKey[]): readonly IdentifiedMessage[] {
  return keys.map(({ eventId }) => ({ eventId, stored: { version: 1, redrives: 2, bodyHash: null, key: null } }));
}

/** What every InboxStore promises. */
export function describeInboxStore(name: string, create: () => Promise<InboxHarness>): void {
  describe(`the inbox store on ${name}`, () => {
    let harness: InboxHarness;
    let store: InboxStore;

    beforeAll(async () => {
      harness = await create();
      store = harness.store;
    });
    beforeEach(() => harness.clear());
    afterAll(() => harness.dispose());

    /** A transaction that the test commits or rolls back. */
    async function begin(): Promise<{ manager: EntityManager; commit(): Promise<void>; rollback(): Promise<void> }> {
      const queryRunner = harness.dataSource.createQueryRunner();
      await queryRunner.startTransaction();
      return {
        manager: queryRunner.manager,
        commit: async () => {
          await queryRunner.commitTransaction();
          await queryRunner.release();
        },
        rollback: async () => {
          await queryRunner.rollbackTransaction();
          await queryRunner.release();
        },
      };
    }

    async function failing(key: InboxKey, retryInMs: number, of: Partial<InboxMessage> = {}): Promise<void> {
      await store.insertFailure(key, message(of), { reason: 'it broke', next: { retryInMs } }, WAIT_MS);
    }

    /** Claims the one row that is due, and begins its next attempt. */
    async function startOne() {
      const { row, token } = await claimOne();
      const { attempts, unfinishedStarts } = row as ClaimedInboxRow;
      const begun = { attempts: attempts + 1, unfinishedStarts: unfinishedStarts + 1 };
      await store.start(row as ClaimedInboxRow, { token, leaseMs: LEASE_MS }, begun);
      return { token };
    }

    async function claimOne(which: 'suspects' | 'others' = 'others') {
      const token = randomUUID();
      const [row, ...more] = await store.claim([queue], 10, token, which);
      expect(more).toEqual([]);
      return { row, token };
    }

    it('keeps the key that people search an event by, whatever becomes of it', async () => {
      const [handled, together, adopted, failed, parked] = Array.from({ length: 5 }, () => newKey());
      const keyed = message({ key: '订单 7' });
      const { manager, commit } = await begin();
      await store.insertHandled(manager, handled!, keyed, LEASE_MS);
      await store.insertHandledAll(manager, STOCK, [{ eventId: together!.eventId, stored: keyed }]);
      await commit();
      await store.adopt(adopted!, keyed, { token: randomUUID(), leaseMs: LEASE_MS }, 1);
      await failing(failed!, -1, { key: '订单 7' });
      await store.park(parked!, keyed, 'unreadable');

      for (const key of [handled, together, adopted, failed, parked])
        expect(await harness.row(key!)).toMatchObject({ event_key: '订单 7' });
      expect((await claimOne()).row).toMatchObject({ eventId: failed!.eventId, key: '订单 7' });
    });

    describe('insertHandled', () => {
      it('stores the row with the transaction that handles, and not without it', async () => {
        const [committed, rolledBack] = [newKey(), newKey()];
        const first = await begin();
        await expect(store.insertHandled(first.manager, committed, message(), LEASE_MS)).resolves.toBe(true);
        await expect(harness.row(committed)).resolves.toBeUndefined();
        await first.commit();
        const second = await begin();
        await store.insertHandled(second.manager, rolledBack, message(), LEASE_MS);
        await second.rollback();

        await expect(harness.row(committed)).resolves.toMatchObject({
          status: 'handled',
          attempts: 1,
          due_at: null,
          body: null,
          ended_at: expect.any(Date) as Date,
        });
        await expect(harness.row(rolledBack)).resolves.toBeUndefined();
      });

      it.each([
        ['commits', 'finds it handled', false],
        ['rolls back', 'may handle', true],
      ] as const)(
        'makes a concurrent duplicate wait; when the first one %s the second one %s',
        async (end, _, claimed) => {
          const key = newKey();
          const first = await begin();
          const second = await begin();
          await store.insertHandled(first.manager, key, message(), LEASE_MS);
          const duplicate = store.insertHandled(second.manager, key, message(), LEASE_MS);
          await eventually(async () => expect(await harness.waitingForLocks()).toBe(1));

          await (end === 'commits' ? first.commit() : first.rollback());

          await expect(duplicate).resolves.toBe(claimed);
          await second.commit();
          await expect(harness.row(key)).resolves.toMatchObject({ status: 'handled' });
        },
      );

      it('takes one row for each consumer of one event', async () => {
        const key = newKey('stock');
        const transaction = await begin();
        await expect(store.insertHandled(transaction.manager, key, message(), LEASE_MS)).resolves.toBe(true);
        const other = { ...key, consumer: 'stock.audit' };
        await expect(store.insertHandled(transaction.manager, other, message(), LEASE_MS)).resolves.toBe(true);
        await expect(store.insertHandled(transaction.manager, key, message(), LEASE_MS)).resolves.toBe(false);
        await transaction.commit();
      });

      it('takes one row for each type that a foreign publisher has given one id', async () => {
        const created = newKey();
        const cancelled = { ...created, type: 'order.cancelled' };
        const transaction = await begin();
        await expect(store.insertHandled(transaction.manager, created, message(), LEASE_MS)).resolves.toBe(true);
        await expect(store.insertHandled(transaction.manager, cancelled, message(), LEASE_MS)).resolves.toBe(true);
        await expect(store.insertHandled(transaction.manager, cancelled, message(), LEASE_MS)).resolves.toBe(false);
        await transaction.commit();
        for (const key of [created, cancelled])
          await expect(store.find(key)).resolves.toMatchObject({ status: 'handled' });
      });
    });

    describe('insertHandledAll', () => {
      it('stores the rows with the transaction that handles, and claims those that nobody had', async () => {
        const [taken, ...free] = [newKey(), newKey(), newKey()];
        await store.park(taken, message(), 'no');
        const transaction = await begin();
        const claim = await store.insertHandledAll(transaction.manager, STOCK, shared([...free, taken]));
        expect(claim).toEqual(new Set(free.map(({ eventId }) => eventId)));
        for (const key of free) await expect(harness.row(key)).resolves.toBeUndefined();
        await transaction.commit();
        for (const key of free)
          await expect(harness.row(key)).resolves.toMatchObject({
            type: 'order.created',
            version: 1,
            status: 'handled',
            attempts: 1,
            redrives: 2,
            due_at: null,
            body: null,
            ended_at: expect.any(Date) as Date,
          });
        await expect(harness.row(taken)).resolves.toMatchObject({ status: 'rejected' });
      });

      it('claims nothing when all are taken', async () => {
        const key = newKey();
        await store.park(key, message(), 'no');
        const transaction = await begin();
        const claim = await store.insertHandledAll(transaction.manager, STOCK, shared([key]));
        expect(claim).toEqual(new Set());
        await transaction.rollback();
      });

      it('takes a row for each consumer of one event', async () => {
        const key = newKey('stock');
        const transaction = await begin();
        for (const consumer of ['stock', 'stock.audit']) {
          const eventIds = await store.insertHandledAll(transaction.manager, { ...STOCK, consumer }, shared([key]));
          expect(eventIds).toEqual(new Set([key.eventId]));
        }
        await transaction.commit();
      });

      it('makes a second one wait that has the same messages in another order, without a deadlock', async () => {
        const keys = Array.from({ length: 50 }, () => newKey());
        const [first, second] = [await begin(), await begin()];
        const claimed = await store.insertHandledAll(first.manager, STOCK, shared(keys.slice(0, 25)));
        const waiting = store.insertHandledAll(second.manager, STOCK, shared(keys.toReversed()));
        await eventually(async () => expect(await harness.waitingForLocks()).toBe(1));
        await first.commit();
        const eventIds = await waiting;
        await second.commit();
        expect(claimed.size + eventIds.size).toBe(50);
        expect([...eventIds].some((id) => claimed.has(id))).toBe(false);
      });

      it('never deadlocks, whatever the orders', async () => {
        const keys = Array.from({ length: 200 }, () => newKey());
        const claims = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => {
            const order = index % 2 === 0 ? keys : keys.toReversed();
            const transaction = await begin();
            const eventIds = await store.insertHandledAll(transaction.manager, STOCK, shared(order));
            await transaction.commit();
            return [...eventIds];
          }),
        );
        expect(claims.flat().toSorted()).toEqual(keys.map(({ eventId }) => eventId).toSorted());
      });
    });

    describe('adopt', () => {
      it('stores the message claimed, with its attempt counted before it starts', async () => {
        const key = newKey();
        const token = randomUUID();
        await expect(store.adopt(key, message({ redrives: 4 }), { token, leaseMs: LEASE_MS }, 2)).resolves.toBe(true);

        const row = await harness.row(key);
        expect(row).toMatchObject({
          status: 'failed',
          attempts: 1,
          unfinished_starts: 2,
          claim_token: token,
          redrives: 4,
        });
        expect(row?.body).toEqual(Buffer.from('{"a":1}'));
        expect(row?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
        expect(row?.due_in_ms).toBeLessThanOrEqual(LEASE_MS);
      });

      it('is the same claim when its answer was lost and it is asked for again', async () => {
        const key = newKey();
        const claim = { token: randomUUID(), leaseMs: LEASE_MS };
        await expect(store.adopt(key, message(), claim, 2)).resolves.toBe(true);
        await harness.age(key, LEASE_MS / 2);
        await expect(store.adopt(key, message(), claim, 2)).resolves.toBe(true);
        const row = await harness.row(key);
        expect(row).toMatchObject({ attempts: 1, unfinished_starts: 2, claim_token: claim.token });
        expect(row?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
      });

      it('gives up waiting after the lease, at the server too', async () => {
        const key = newKey();
        const first = await begin();
        await store.insertHandled(first.manager, key, message(), LEASE_MS);
        const waiting = store.adopt(key, message(), { token: randomUUID(), leaseMs: 2_000 }, 2);
        const refused = expect(waiting).rejects.toThrow('another transaction has held the row for 2000 ms');
        await eventually(async () => expect(await harness.waitingForLocks()).toBe(1));
        await refused;
        await eventually(async () => expect(await harness.waitingForLocks()).toBe(0));
        await first.commit();
      });

      it('leaves a row alone that exists', async () => {
        const key = newKey();
        await failing(key, 0);
        const before = await harness.row(key);
        await expect(store.adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2)).resolves.toBe(false);
        await expect(harness.row(key)).resolves.toMatchObject({ claim_token: null, attempts: before?.attempts });
      });

      it('waits for the transaction of a concurrent duplicate', async () => {
        const key = newKey();
        const first = await begin();
        await store.insertHandled(first.manager, key, message(), LEASE_MS);
        const adopted = store.adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
        await eventually(async () => expect(await harness.waitingForLocks()).toBe(1));
        await first.commit();
        await expect(adopted).resolves.toBe(false);
      });

      it('holds the row for a whole lease after it has waited, not for what the wait has left of it', async () => {
        const key = newKey();
        const first = await begin();
        await store.insertHandled(first.manager, key, message(), LEASE_MS);
        const adopted = store.adopt(key, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
        await eventually(async () => expect(await harness.waitingForLocks()).toBe(1));
        await new Promise((resolve) => setTimeout(resolve, 1_200));
        await first.rollback();
        await expect(adopted).resolves.toBe(true);
        const { received_at: began, due_at: due } = (await harness.row(key)) as StoredRow & { received_at: Date };
        expect((due as Date).getTime() - began.getTime()).toBeGreaterThanOrEqual(LEASE_MS + 1_000);
      });
    });

    describe('insertFailure', () => {
      it('stores a failure with its bytes, its history and its due time', async () => {
        const key = newKey();
        const failure = { reason: 'it broke', next: { retryInMs: 30_000 } };
        await expect(store.insertFailure(key, message(), failure, WAIT_MS)).resolves.toBe(true);

        const row = await harness.row(key);
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
        await store.insertFailure(key, message(), { reason: 'no', next: { end } }, WAIT_MS);
        await expect(harness.row(key)).resolves.toMatchObject({
          status: end,
          due_at: null,
          ended_at: expect.any(Date) as Date,
        });
      });

      it('changes nothing when there is a row', async () => {
        const key = newKey();
        const handled = await begin();
        await store.insertHandled(handled.manager, key, message(), LEASE_MS);
        await handled.commit();
        const failure = { reason: 'late', next: { end: 'dead' as const } };
        await expect(store.insertFailure(key, message(), failure, WAIT_MS)).resolves.toBe(false);
        await expect(harness.row(key)).resolves.toMatchObject({ status: 'handled', reason: null });
      });
    });

    describe('claim', () => {
      it('takes what is due, oldest first, for the lease of its queue, and counts nothing yet', async () => {
        const [older, newer, later] = [newKey(), newKey(), newKey()];
        for (const key of [newer, older]) await failing(key, 0);
        await failing(later, 60_000);
        await harness.age(older, 5_000);
        const token = randomUUID();

        const rows = await store.claim([queue], 10, token, 'others');

        expect(rows.map(({ eventId }) => eventId)).toEqual([older.eventId, newer.eventId]);
        expect(rows[0]).toMatchObject({ attempts: 1, unfinishedStarts: 0, type: 'order.created', version: 1 });
        expect(rows[0]?.overdueMs).toBeGreaterThanOrEqual(5_000);
        expect(rows[0]?.body).toEqual(Buffer.from('{"a":1}'));
        const stored = await harness.row(older);
        expect(stored).toMatchObject({ attempts: 1, unfinished_starts: 0, claim_token: token, status: 'failed' });
        expect(stored?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
        await expect(store.claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
      });

      it('takes at most the limit', async () => {
        for (let count = 0; count < 5; count += 1) await failing(newKey(), 0);
        await expect(store.claim([queue], 2, randomUUID(), 'others')).resolves.toHaveLength(2);
      });

      it('takes at most its limit of each queue, so that none holds up another', async () => {
        for (let count = 0; count < 5; count += 1) await failing(newKey(), 0);
        const late = newKey('stock', 'order.paid');
        await failing(late, 0);
        const queues = [
          { ...queue, limit: 2 },
          { ...queue, type: 'order.paid', limit: 3 },
          { ...queue, type: 'order.moved', limit: 0 },
        ];
        const rows = await store.claim(queues, 10, randomUUID(), 'others');
        expect(rows.map(({ type }) => type).toSorted()).toEqual(['order.created', 'order.created', 'order.paid']);
      });

      it('takes only rows of the given consumers and types', async () => {
        const mine = newKey();
        await failing(mine, 0);
        await failing(newKey('someone.else'), 0);
        await failing(newKey('stock', 'order.of-a-newer-release'), 0);
        const rows = await store.claim([queue], 10, randomUUID(), 'others');
        expect(rows.map(({ eventId }) => eventId)).toEqual([mine.eventId]);
        await expect(store.claim([], 10, randomUUID(), 'others')).resolves.toEqual([]);
      });

      it('shares the rows out between instances that claim at the same time', async () => {
        const keys = Array.from({ length: 40 }, () => newKey());
        for (const key of keys) await failing(key, 0);
        const claims = await Promise.all(
          Array.from({ length: 8 }, () => store.claim([queue], 10, randomUUID(), 'others')),
        );
        const ids = claims.flat().map(({ eventId }) => eventId);
        expect(new Set(ids).size).toBe(ids.length);
        expect(ids.every((id) => keys.some(({ eventId }) => eventId === id))).toBe(true);
      });

      it('skips a row that an open transaction has settled, even when its lease is over', async () => {
        const [held, free] = [newKey(), newKey()];
        await failing(held, 0);
        const token = randomUUID();
        await store.claim([{ ...queue, leaseMs: 0 }], 1, token, 'others');
        const holder = await begin();
        await store.settleHandled(holder.manager, held, token);
        await failing(free, 0);

        const rows = await store.claim([queue], 10, randomUUID(), 'others');

        expect(rows.map(({ eventId }) => eventId)).toEqual([free.eventId]);
        await holder.commit();
        await expect(harness.row(held)).resolves.toMatchObject({ status: 'handled' });
      });

      it('takes a row again when its lease has run out', async () => {
        const key = newKey();
        await failing(key, 0);
        await claimOne();
        await harness.age(key, LEASE_MS * 2);
        const { row } = await claimOne();
        expect(row).toMatchObject({ attempts: 1, unfinishedStarts: 0 });
      });

      it('keeps suspects apart from the others', async () => {
        const [suspect, other] = [newKey(), newKey()];
        await store.adopt(suspect, message(), { token: randomUUID(), leaseMs: LEASE_MS }, 2);
        await expect(store.queuesWithSuspects([queue])).resolves.toEqual([]);
        await harness.age(suspect, LEASE_MS * 2);
        await failing(other, 0);

        await expect(store.queuesWithSuspects([queue])).resolves.toEqual([STOCK]);
        await expect(store.queuesWithSuspects([{ ...queue, type: 'another' }])).resolves.toEqual([]);
        const others = await store.claim([queue], 10, randomUUID(), 'others');
        expect(others.map(({ eventId }) => eventId)).toEqual([other.eventId]);
        const suspects = await store.claim([queue], 10, randomUUID(), 'suspects');
        expect(suspects).toMatchObject([{ eventId: suspect.eventId, unfinishedStarts: 2 }]);
        await expect(store.queuesWithSuspects([queue])).resolves.toEqual([]);
      });
    });

    describe('settling a claim', () => {
      it('settleHandled ends the row with the transaction, and drops the bytes', async () => {
        const key = newKey();
        await failing(key, 0);
        const { token } = await claimOne();
        const transaction = await begin();
        await expect(store.settleHandled(transaction.manager, key, token)).resolves.toBe(true);
        await expect(harness.row(key)).resolves.toMatchObject({ status: 'failed' });
        await transaction.commit();
        await expect(harness.row(key)).resolves.toMatchObject({
          status: 'handled',
          attempts: 1,
          unfinished_starts: 0,
          due_at: null,
          claim_token: null,
          body: null,
          properties: null,
          ended_at: expect.any(Date) as Date,
        });
      });

      it('settleFailed appends to the history and gives the row a due time or an end', async () => {
        const key = newKey();
        await failing(key, 0);
        const second = await startOne();
        await expect(store.settleFailed(key, second.token, { reason: 'again', next: { retryInMs: 0 } })).resolves.toBe(
          true,
        );
        await expect(harness.row(key)).resolves.toMatchObject({
          status: 'failed',
          unfinished_starts: 0,
          claim_token: null,
        });
        const third = await startOne();
        await store.settleFailed(key, third.token, { reason: 'enough', next: { end: 'dead' } });
        await expect(harness.row(key)).resolves.toMatchObject({
          status: 'dead',
          due_at: null,
          reason: 'enough',
          history: [
            { attempt: 1, reason: 'it broke' },
            { attempt: 2, reason: 'again' },
            { attempt: 3, reason: 'enough' },
          ],
        });
      });

      it('keeps the newest 20 attempts of the history', async () => {
        const key = newKey();
        await failing(key, 0);
        for (let attempt = 2; attempt <= 25; attempt += 1) {
          const { token } = await startOne();
          await store.settleFailed(key, token, { reason: `attempt ${attempt}`, next: { retryInMs: 0 } });
        }
        const row = await harness.row(key);
        expect(row?.history.map(({ attempt }) => attempt)).toEqual(Array.from({ length: 20 }, (_, index) => index + 6));
      });

      it('changes nothing with a token that no longer matches', async () => {
        const key = newKey();
        await failing(key, 0);
        const stale = await claimOne();
        await harness.age(key, LEASE_MS * 2);
        const present = await claimOne();

        const transaction = await begin();
        await expect(store.settleHandled(transaction.manager, key, stale.token)).resolves.toBe(false);
        await transaction.commit();
        const failure = { reason: 'late', next: { end: 'dead' as const } };
        await expect(store.settleFailed(key, stale.token, failure)).resolves.toBe(false);
        await expect(store.release(key, stale.token, { attempts: 0, unfinishedStarts: 0 })).resolves.toBe(false);

        await expect(harness.row(key)).resolves.toMatchObject({ status: 'failed', claim_token: present.token });
      });

      it('release gives the row back as if it had not been claimed', async () => {
        const key = newKey();
        await failing(key, 0);
        const { row: before, token } = await claimOne();
        await store.start(key, { token, leaseMs: LEASE_MS }, { attempts: 2, unfinishedStarts: 1 });
        await expect(store.release(key, token, before as ClaimedInboxRow)).resolves.toBe(true);
        await expect(harness.row(key)).resolves.toMatchObject({ attempts: 1, unfinished_starts: 0, claim_token: null });
        const { row } = await claimOne();
        expect(row).toMatchObject({ attempts: 1, unfinishedStarts: 0 });
      });
    });

    describe('claimAnew', () => {
      it.each(['dead', 'rejected'] as const)('starts a %s row anew, once for each redrive', async (end) => {
        const key = newKey();
        await store.insertFailure(key, message(), { reason: 'no', next: { end } }, WAIT_MS);
        const claim = { token: randomUUID(), leaseMs: LEASE_MS };
        await expect(store.claimAnew(key, 0, false, claim)).resolves.toBeUndefined();
        const [first, second] = await Promise.all([
          store.claimAnew(key, 1, false, claim),
          store.claimAnew(key, 1, false, claim),
        ]);
        expect([first, second].filter((row) => row !== undefined)).toMatchObject([
          { attempts: 0, unfinishedStarts: 0, redrives: 1 },
        ]);
        await expect(harness.row(key)).resolves.toMatchObject({ status: 'failed', ended_at: null, redrives: 1 });
      });

      it('starts a row anew whose message was moved back, and keeps its number of redrives', async () => {
        const key = newKey();
        await store.park(key, message({ redrives: 2 }), 'no');
        const claim = { token: randomUUID(), leaseMs: LEASE_MS };
        await expect(store.claimAnew(key, 0, true, claim)).resolves.toMatchObject({ redrives: 2 });
        await expect(store.claimAnew(key, 0, true, claim)).resolves.toBeUndefined();
      });

      it('leaves handled and failed rows alone', async () => {
        const [handled, failed] = [newKey(), newKey()];
        const transaction = await begin();
        await store.insertHandled(transaction.manager, handled, message(), LEASE_MS);
        await transaction.commit();
        await failing(failed, 0);
        for (const key of [handled, failed]) {
          const claim = { token: randomUUID(), leaseMs: LEASE_MS };
          await expect(store.claimAnew(key, 5, true, claim)).resolves.toBeUndefined();
        }
      });
    });

    describe('start', () => {
      it('counts the attempt and the start, and gives the claim a whole lease, once however often it is said', async () => {
        const key = newKey();
        await failing(key, 0);
        const { row, token } = await claimOne();
        await harness.age(key, LEASE_MS / 2);
        const begun = { attempts: (row?.attempts ?? 0) + 1, unfinishedStarts: 1 };
        for (let times = 0; times < 2; times += 1)
          await expect(store.start(key, { token, leaseMs: LEASE_MS }, begun)).resolves.toBe(true);
        const stored = await harness.row(key);
        expect(stored).toMatchObject({ attempts: 2, unfinished_starts: 1, claim_token: token });
        expect(stored?.due_in_ms).toBeGreaterThan(LEASE_MS / 2);
      });

      it('does nothing when the claim was lost', async () => {
        const key = newKey();
        await failing(key, 0);
        const stale = await claimOne();
        await harness.age(key, LEASE_MS * 2);
        await claimOne();
        const begun = { attempts: 2, unfinishedStarts: 1 };
        await expect(store.start(key, { token: stale.token, leaseMs: LEASE_MS }, begun)).resolves.toBe(false);
      });
    });

    describe('messages that wait for a release that handles their version', () => {
      const newer = (): InboxMessage => message({ version: 9 });
      const failure = { reason: 'no handler for version 9', next: { waitMs: 60_000 } };

      async function waiting(): Promise<InboxKey> {
        const key = newKey();
        await expect(store.insertFailure(key, newer(), failure, WAIT_MS)).resolves.toBe(true);
        return key;
      }

      it('are kept without an attempt and without a history, due when the wait is over', async () => {
        const row = await harness.row(await waiting());
        expect(row).toMatchObject({ status: 'waiting', attempts: 0, history: [], ended_at: null });
        expect(row?.due_in_ms).toBeGreaterThan(30_000);
      });

      it('are left alone by those who do not handle them, until the wait is over', async () => {
        const key = await waiting();
        await harness.age(key, 120_000);
        await expect(store.claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
        await expect(store.claim([{ ...queue, waitMs: 0 }], 10, randomUUID(), 'others')).resolves.toHaveLength(1);
      });

      it('are woken by a release that handles them, and by no other', async () => {
        const key = await waiting();
        await expect(store.wakeWaiting([queue], 10)).resolves.toBe(0);
        const release = { ...queue, versions: [1, 9] };
        await expect(store.wakeWaiting([release], 10)).resolves.toBe(1);
        await expect(store.wakeWaiting([release], 10)).resolves.toBe(0);
        await expect(store.claim([queue], 10, randomUUID(), 'others')).resolves.toEqual([]);
        await expect(store.claim([release], 10, randomUUID(), 'others')).resolves.toMatchObject([
          { eventId: key.eventId, attempts: 0 },
        ]);
      });

      it('wait again when that is how a claim ends', async () => {
        const key = newKey();
        await failing(key, 0);
        const { token } = await claimOne();
        await store.settleFailed(key, token, failure);
        await expect(harness.row(key)).resolves.toMatchObject({ status: 'waiting', attempts: 1, claim_token: null });
      });
    });

    describe('rename', () => {
      it('gives a claimed row that was kept by its bytes its own id', async () => {
        const [bytes, own] = [newKey(), newKey()];
        await failing(bytes, 0);
        const { token } = await claimOne();
        await expect(store.rename(bytes, randomUUID(), own.eventId, null)).resolves.toBe(false);
        const hash = Buffer.alloc(32, 7);
        await expect(store.rename(bytes, token, own.eventId, hash)).resolves.toBe(true);
        await expect(harness.row(bytes)).resolves.toBeUndefined();
        await expect(store.find(own)).resolves.toMatchObject({ status: 'failed', bodyHash: hash });
      });

      it('leaves it when that id has a row', async () => {
        const [bytes, own] = [newKey(), newKey()];
        await store.park(own, message(), 'no');
        await failing(bytes, 0);
        const { token } = await claimOne();
        await expect(store.rename(bytes, token, own.eventId, null)).resolves.toBe(false);
        await expect(harness.row(bytes)).resolves.toMatchObject({ claim_token: token });
      });
    });

    it('find tells where a row stands', async () => {
      const key = newKey();
      await expect(store.find(key)).resolves.toBeUndefined();
      await failing(key, 60_000);
      const row = await store.find(key);
      expect(row).toMatchObject({ status: 'failed', attempts: 1, redrives: 0, reason: 'it broke' });
      expect(row?.dueInMs).toBeGreaterThan(30_000);
      await expect(store.find({ ...key, consumer: 'other' })).resolves.toBeUndefined();
    });

    it('park keeps the bytes once, as rejected, without an attempt', async () => {
      const key = newKey();
      await expect(store.park(key, message(), 'not JSON')).resolves.toBe(true);
      await expect(store.park(key, message(), 'not JSON')).resolves.toBe(false);
      const row = await harness.row(key);
      expect(row).toMatchObject({ status: 'rejected', attempts: 0, due_at: null, reason: 'not JSON' });
      expect(row?.body).toEqual(Buffer.from('{"a":1}'));
    });

    it('park puts aside again what was put aside before: with its new reason, and now', async () => {
      const [key, handled] = [newKey(), newKey()];
      await store.park(key, message(), 'not JSON');
      await harness.age(key, 60_000);
      await expect(store.park(key, message({ properties: { moved: 'back' } }), 'still not')).resolves.toBe(false);
      const row = await harness.row(key);
      expect(row).toMatchObject({ status: 'rejected', reason: 'still not', properties: { moved: 'back' } });
      expect(Date.now() - (row as unknown as { ended_at: Date }).ended_at.getTime()).toBeLessThan(30_000);
      const transaction = await begin();
      await store.insertHandled(transaction.manager, handled, message(), LEASE_MS);
      await transaction.commit();
      await expect(store.park(handled, message(), 'no')).resolves.toBe(false);
      await expect(harness.row(handled)).resolves.toMatchObject({ status: 'handled' });
    });

    it('unpark forgets what was put aside, and nothing else', async () => {
      const [parked, due] = [newKey(), newKey()];
      await store.park(parked, message(), 'no');
      await failing(due, 0);
      for (const key of [parked, due]) await store.unpark(key);
      await expect(harness.row(parked)).resolves.toBeUndefined();
      await expect(harness.row(due)).resolves.toMatchObject({ status: 'failed' });
    });

    it('prune deletes ended rows of the given age, oldest first, and nothing that is due', async () => {
      const [old, older, recent, unfinished] = [newKey(), newKey(), newKey(), newKey()];
      for (const key of [old, older, recent]) await store.park(key, message(), 'no');
      await failing(unfinished, 0);
      const hour = 3_600_000;
      await harness.age(old, 3 * hour);
      await harness.age(older, 4 * hour);
      await harness.age(unfinished, 5 * hour);

      await expect(store.prune(2, 1)).resolves.toMatchObject({ count: 1 });
      await expect(harness.row(older)).resolves.toBeUndefined();
      await expect(store.prune(2, 10)).resolves.toMatchObject({ count: 1 });
      await expect(store.prune(2, 10)).resolves.toEqual({ count: 0, lastEndedAt: undefined });
      for (const key of [recent, unfinished]) await expect(harness.row(key)).resolves.toBeDefined();
    });

    it('prune begins at endedFrom, where an earlier call ended', async () => {
      const [first, second, passedOver] = [newKey(), newKey(), newKey()];
      for (const key of [first, second, passedOver]) await store.park(key, message(), 'no');
      const hour = 3_600_000;
      await harness.age(first, 4 * hour);
      await harness.age(second, 3 * hour);
      const { count, lastEndedAt } = await store.prune(2, 1);
      expect(count).toBe(1);
      await harness.age(passedOver, 5 * hour);
      await expect(store.prune(2, 10, lastEndedAt)).resolves.toMatchObject({ count: 1 });
      await expect(harness.row(second)).resolves.toBeUndefined();
      await expect(harness.row(passedOver)).resolves.toBeDefined();
      await expect(store.prune(2, 10)).resolves.toMatchObject({ count: 1 });
    });

    describe('whatever a stranger sends', () => {
      it.each([
        ['NUL characters', { 'a\u0000b': 'c\u0000d' }],
        ['halves of surrogate pairs', { '\ud800': 'x\udc00', ok: '😀' }],
        ['depth', JSON.parse('{"a":'.repeat(1_000) + '1' + '}'.repeat(1_000)) as object],
        ['width', Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, index]))],
        ['huge texts', { text: 'x'.repeat(1_000_000) }],
        [
          'what JSON has no word for',
          { bytes: Buffer.from([0, 255]), never: Number.NaN, when: new Date(Number.NaN), big: 1n },
        ],
        ['names that mean something', JSON.parse('{"__proto__":{"polluted":true},"constructor":1}') as object],
      ])('is stored: properties with %s', async (_, headers) => {
        const key = newKey();
        const stored = message({ properties: { headers } });
        await expect(store.park(key, stored, 'strange')).resolves.toBe(true);
        await expect(harness.row(key)).resolves.toMatchObject({
          properties: { headers: expect.any(Object) as object },
        });
        const adopted = newKey();
        await expect(store.adopt(adopted, stored, { token: randomUUID(), leaseMs: LEASE_MS }, 2)).resolves.toBe(true);
        const failed = newKey();
        const failure = { reason: 'strange', next: { retryInMs: 1 } };
        await expect(store.insertFailure(failed, stored, failure, WAIT_MS)).resolves.toBe(true);
      });

      it.each([
        ['no bytes', Buffer.alloc(0)],
        ['every byte', Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))],
        ['10 MiB', Buffer.alloc(10 * 1024 * 1024, 0xfe)],
      ])('is stored byte for byte: a body of %s', async (_, body) => {
        const key = newKey();
        await failing(key, 0, { body });
        const { row } = await claimOne();
        expect(row?.body.equals(body)).toBe(true);
      });
    });
  });
}
