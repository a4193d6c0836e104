import { randomUUID } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import type {
  ClaimableQueue,
  ClaimedInboxRow,
  IdentifiedMessage,
  InboxKey,
  InboxMessage,
  InboxStore,
} from '../../../libs/reliable-mq/src/inbox/inbox.store';

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
  /** Resolves when the database's clock has moved on by so much, in milliseconds. */
  passed(ms: number): Promise<void>;
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

export const LEASE_MS = 60_000;
export const WAIT_MS = 10_000;
export const STOCK = { consumer: 'stock', type: 'order.created' };
export const queue: ClaimableQueue = { ...STOCK, versions: [1], leaseMs: LEASE_MS, waitMs: 3_600_000, limit: 100 };

export function newKey(consumer = 'stock', type = 'order.created'): InboxKey {
  return { eventId: randomUUID(), consumer, type };
}

export function message(overrides: Partial<InboxMessage> = {}): InboxMessage {
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

export function shared(keys: readonly InboxKey[]): readonly IdentifiedMessage[] {
  return keys.map(({ eventId }) => ({ eventId, stored: { version: 1, redrives: 2, bodyHash: null, key: null } }));
}

/** What the parts of the suite do with the store under test. */
export function inboxFixture(harness: () => InboxHarness) {
  const store = (): InboxStore => harness().store;

  /** A transaction that the test commits or rolls back. */
  async function begin(): Promise<{ manager: EntityManager; commit(): Promise<void>; rollback(): Promise<void> }> {
    const queryRunner = harness().dataSource.createQueryRunner();
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
    await store().insertFailure(key, message(of), { reason: 'it broke', next: { retryInMs } }, WAIT_MS);
  }

  /** Claims the one row that is due, and begins its next attempt. */
  async function startOne() {
    const { row, token } = await claimOne();
    const { attempts, unfinishedStarts } = row as ClaimedInboxRow;
    const begun = { attempts: attempts + 1, unfinishedStarts: unfinishedStarts + 1 };
    await store().start(row as ClaimedInboxRow, { token, leaseMs: LEASE_MS }, begun);
    return { token };
  }

  async function claimOne(which: 'suspects' | 'others' = 'others') {
    const token = randomUUID();
    const [row, ...more] = await store().claim([queue], 10, token, which);
    expect(more).toEqual([]);
    return { row, token };
  }

  it('keeps the key that people search an event by, whatever becomes of it', async () => {
    const [handled, together, adopted, failed, parked] = Array.from({ length: 5 }, () => newKey());
    const keyed = message({ key: '订单 7' });
    const { manager, commit } = await begin();
    await store().insertHandled(manager, handled!, keyed, LEASE_MS);
    await store().insertHandledAll(manager, STOCK, [{ eventId: together!.eventId, stored: keyed }]);
    await commit();
    await store().adopt(adopted!, keyed, { token: randomUUID(), leaseMs: LEASE_MS }, 1);
    await failing(failed!, -1, { key: '订单 7' });
    await store().park(parked!, keyed, 'unreadable');

    for (const key of [handled, together, adopted, failed, parked])
      expect(await harness().row(key!)).toMatchObject({ event_key: '订单 7' });
    expect((await claimOne()).row).toMatchObject({ eventId: failed!.eventId, key: '订单 7' });
  });

  return { store, begin, failing, startOne, claimOne };
}
