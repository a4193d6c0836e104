import type { EntityManager } from 'typeorm';
import { randomUUID } from 'node:crypto';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import type { ConsumerOutcome } from '../../../libs/reliable-mq/src/event/outcome';
import { upTo } from '../claim-limit';
import type { OutboxEvent } from '../../../libs/reliable-mq/src/outbox/outbox.entity';
import type {
  NewOutboxEvent,
  OutboxStore,
  PublishResult,
  PublishSettlement,
  Receipt,
} from '../../../libs/reliable-mq/src/outbox/outbox.store';

export const LEASE_MS = 60_000;
export const HOUR_MS = 3_600_000;

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
export function oldId(hoursAgo: number): string {
  const time = (Date.now() - hoursAgo * HOUR_MS).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}${newEventId().slice(13)}`;
}

/** What the parts of the suite do with the store under test. */
export function outboxFixture(harness: () => OutboxHarness) {
  const store = (): OutboxStore => harness().store;

  function event(overrides: Partial<NewOutboxEvent> = {}): NewOutboxEvent {
    return {
      id: newEventId(),
      type: 'order.created',
      version: 1,
      payload: '{"orderId": "1"}',
      headers: null,
      consumers: [],
      confirm: true,
      key: null,
      causationId: null,
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

  return { store, event, insert, insertOne, row, settlement, receipt, claimIds, claimedDead };
}
