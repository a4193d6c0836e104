import { randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { Audit, OperationName } from '../../../libs/reliable-mq/src/database/audit';
import type { OperationsStore } from '../../../libs/reliable-mq/src/database/operations.store';
import { newEventId } from '../../../libs/reliable-mq/src/event/event-id';
import type { ConsumerOutcome } from '../../../libs/reliable-mq/src/event/outcome';
import type { InboxFailure, InboxKey, InboxMessage, InboxStore } from '../../../libs/reliable-mq/src/inbox/inbox.store';
import type { NewOutboxEvent, OutboxStore } from '../../../libs/reliable-mq/src/outbox/outbox.store';
import type { TestDatabase } from '../../support/database';
import { upTo } from '../claim-limit';

/** The three stores of one database. */
export interface OperationsHarness {
  readonly database: TestDatabase;
  readonly outbox: OutboxStore;
  readonly inbox: InboxStore;
  readonly operations: OperationsStore;
  /** Run in a transaction that commits, or rolls back when the work rejects. */
  transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

export const HOUR_MS = 3_600_000;
const LEASE_MS = 60_000;

export function auditOf(operation: OperationName): Audit {
  return {
    operation,
    runId: randomUUID(),
    by: 'somebody',
    why: 'the address was wrong',
    filter: { type: 'order.created' },
  };
}

/** What the parts of the suite do with the stores beside the one under test. */
export function operationsFixture(harness: () => OperationsHarness) {
  const operations = (): OperationsStore => harness().operations;

  /** Events that were recorded, and are claimed by the process that did. @returns their ids, oldest first */
  async function record(count: number, of: Partial<NewOutboxEvent> = {}): Promise<string[]> {
    const events = Array.from({ length: count }, () => ({
      id: newEventId(),
      type: 'order.created',
      version: 1,
      payload: '{"orderId":"7"}',
      headers: null,
      consumers: [],
      confirm: true,
      key: null,
      causationId: null,
      ...of,
    }));
    await harness().transaction((manager) => harness().outbox.insert(manager, events, randomUUID(), LEASE_MS));
    return events.map(({ id }) => id).sort();
  }

  async function recordOne(of: Partial<NewOutboxEvent> = {}): Promise<string> {
    const [id] = await record(1, of);
    return id as string;
  }

  async function report(ids: readonly string[], consumer: string, outcome: ConsumerOutcome): Promise<void> {
    const reason = outcome === 'handled' ? null : 'broken';
    const retryAfterMs = outcome === 'retrying' ? HOUR_MS : null;
    await harness().outbox.applyReceipts(
      ids.map((eventId) => ({ eventId, consumer, outcome, reason, retryAfterMs, redrives: 0 })),
    );
  }

  /** Claims what is dead and due, as the compensation task does. @returns the token */
  async function claimDead(count: number): Promise<string> {
    const token = randomUUID();
    await harness().outbox.claim('dead', upTo(count), LEASE_MS, token);
    return token;
  }

  /** Dead events, and whether their business was undone. */
  async function dead(count: number, compensated: boolean, of: Partial<NewOutboxEvent> = {}): Promise<string[]> {
    const ids = await record(count, of);
    await report(ids, 'stock', 'dead');
    const token = await claimDead(count);
    for (const id of ids) await harness().outbox.settleCompensated(undefined, id, token, compensated);
    return ids;
  }

  function handlingOf(eventId: string = randomUUID(), consumer = 'stock', type = 'order.created'): InboxKey {
    return { eventId, consumer, type };
  }

  function message(of: Partial<InboxMessage> = {}): InboxMessage {
    return { version: 1, redrives: 0, bodyHash: null, key: null, body: Buffer.from('{}'), properties: {}, ...of };
  }

  async function fail(
    key: InboxKey,
    next: InboxFailure['next'] = { retryInMs: HOUR_MS },
    of: Partial<InboxMessage> = {},
  ): Promise<InboxKey> {
    await harness().inbox.insertFailure(key, message(of), { reason: 'it broke', next }, 10_000);
    return key;
  }

  /** Many at the same moment. */
  async function handle(count: number): Promise<InboxKey[]> {
    const keys = Array.from({ length: count }, () => handlingOf());
    const { consumer, type } = handlingOf();
    const messages = keys.map(({ eventId }) => ({ eventId, stored: message() }));
    await harness().transaction((manager) => harness().inbox.insertHandledAll(manager, { consumer, type }, messages));
    return keys;
  }

  return { operations, record, recordOne, report, claimDead, dead, handlingOf, fail, handle };
}
