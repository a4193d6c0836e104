import type { AttemptRecord, ReportedOutcome } from '../event/outcome';
import type { InboxStatus } from '../inbox/inbox.entity';
import type { InboxKey } from '../inbox/inbox.store';
import type { OutboxStatus } from '../outbox/outbox.entity';
import type { Audit, AuditRecord, PausedQueue, QueueName } from './audit';
import type { PastEvent, PastFilter } from './past-events';
import type { DeadEvent, DeadFilter, FailedFilter, FailedHandling, Page } from './failures';

/** What people do with the tables of one DataSource, beside the event's own way. Whatever changes something leaves a row in the audit, with it. */
export interface OperationsStore {
  list(filter: EventFilter): Promise<readonly EventRecord[]>;
  get(eventId: string): Promise<EventRecord | undefined>;
  listInbox(filter: InboxFilter): Promise<readonly InboxRecord[]>;
  /** Those of the events that are in the outbox; at most 1,000 are asked for. */
  eventsOf(eventIds: readonly string[]): Promise<readonly EventRecord[]>;
  /** Events that were recorded while one of these was handled or compensated, the first ones. */
  causedBy(eventIds: readonly string[], limit: number): Promise<readonly EventRecord[]>;
  /** What consumers know of these events, whatever became of them, the first ones. */
  handlingsOf(eventIds: readonly string[], limit: number): Promise<readonly HandlingRecord[]>;
  /** What consumers know, in the order of its keys: what stands behind this one. */
  handlingsAfter(key: InboxKey, limit: number): Promise<readonly HandlingRecord[]>;
  /** What consumers know of the events with this key, whatever became of them, the first ones. */
  listHandlings(key: string, limit: number): Promise<readonly HandlingRecord[]>;
  statistics(): Promise<ReliableMqStatistics>;
  /** @returns those that were redriven */
  redrive(eventIds: readonly string[], evenIfCompensated: boolean, audit: Audit): Promise<readonly string[]>;
  /** @returns those that were retried */
  retryInbox(keys: readonly HandlingKey[], audit: Audit): Promise<readonly InboxKey[]>;
  /** @returns those that were deleted */
  discard(eventIds: readonly string[], audit: Audit): Promise<readonly string[]>;
  /** Dead events need no person any more. @returns those that were archived now */
  archive(eventIds: readonly string[], audit: Audit): Promise<readonly string[]>;
  /**
   * A new event, due at once, in the place of a dead one that is not archived: the same type, version, key, consumers and headers, and the old
   * one as its cause. The old one is archived, and will not be compensated any more. Both, and the audit's row, in one transaction.
   * @param evenIfCompensated also where the business was undone already
   * @returns false when the event was left alone
   */
  replace(eventId: string, by: Replacement, evenIfCompensated: boolean, audit: Audit): Promise<boolean>;
  /**
   * A consumer has lost what it had done with these events, or its receipts were lost: what it has reported is forgotten, and they are due now
   * for it, published or consumed as they are. Left alone: events that are pending or dead, that expect no receipts, or that somebody works on.
   * @returns those that are sent again
   */
  sendAgain(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]>;
  /**
   * Events that have ended are due now for a consumer that did not know them: published, with the consumer among those that must handle them. Where
   * none were declared, those that have handled it are from now on. The row's headers say for whom it is (`backfilledConsumers`). Left alone: what
   * has not ended or is dead, what somebody works on, and what the consumer is declared of or has reported on.
   * @returns those that are sent
   */
  backfill(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]>;
  /** @returns false when it is paused already */
  pause(queue: QueueName, audit: Audit): Promise<boolean>;
  /** @returns false when it is not paused */
  resume(queue: QueueName, audit: Audit): Promise<boolean>;
  /** The queues that people have paused. */
  pausedQueues(): Promise<readonly PausedQueue[]>;
  /** What people have done, the latest first. @param before id of the last one of the page before */
  listAudit(before: string | undefined, limit: number): Promise<readonly AuditRecord[]>;
  /** A page of the dead events that match, without their payloads, in the order of their ids. */
  deadEvents(filter: DeadFilter, page: Page): Promise<readonly DeadEvent[]>;
  /** A page of the events of one type, without their payloads, in the order of their ids: along the primary key. */
  pastEvents(filter: PastFilter, page: Page): Promise<readonly PastEvent[]>;
  /** A page of the handlings that match and are not handled, without their messages, in the order in which they came. */
  failedHandlings(filter: FailedFilter, page: Page): Promise<readonly FailedHandling[]>;
  /** Those of the events that are in the outbox. */
  eventStates(eventIds: readonly string[]): Promise<readonly EventState[]>;
  /** Those of the handlings that are in the inbox. */
  handlingStates(keys: readonly HandlingKey[]): Promise<readonly HandlingState[]>;
  /**
   * Every consumer and event type that has unfinished handlings, and those of the handlings that have ended last. Costs a few index probes
   * for each, however many rows there are.
   */
  inboxKinds(): Promise<readonly InboxKind[]>;
}

/** What takes the place of a dead event. */
export interface Replacement {
  /** UUIDv7. */
  readonly id: string;
  /** JSON text. */
  readonly payload: string;
}

/** A consumer and an event type whose handlings the inbox has. */
export interface InboxKind extends Pick<InboxKey, 'consumer' | 'type'> {
  /** Handlings that are not at their end; counting stops at 1,000. */
  readonly unfinished: number;
  /** For how long the one that is due first has been due, in milliseconds; negative before, 0 when none is. */
  readonly overdueMs: number;
}

/** How people name handlings of the inbox. */
export interface HandlingKey extends Omit<InboxKey, 'type'> {
  /** Left out: of every type that has this id. */
  readonly type?: string;
}

/** What decides whether an event can be redriven or discarded. */
export interface EventState {
  readonly id: string;
  readonly status: OutboxStatus;
  readonly isCompensated: boolean;
  readonly isArchived: boolean;
}

/** What decides whether a handling can be retried. */
export interface HandlingState extends InboxKey {
  readonly status: InboxStatus;
}

/** Rows that are returned at once, whatever `limit` says, and ids or keys that one statement is given. */
export const MAX_LIMIT = 1000;
/** Rows that are returned when no `limit` is said. */
export const DEFAULT_LIMIT = 100;

export interface EventFilter {
  /** `published`: those that wait for receipts; the ones that ended there (`confirm: false`) are listed without a status only. */
  readonly status?: OutboxStatus;
  /** Without a status, or with `consumed`, it has no index: a rare type makes it read the whole table. */
  readonly type?: string;
  /** Those with this key. */
  readonly key?: string;
  /** Those that were recorded while the event of this id was handled, or compensated. */
  readonly causationId?: string;
  /** Dead ones that nobody has undone, and that nobody has archived. */
  readonly needPerson?: boolean;
  /** Only rows that somebody should have looked at by now. */
  readonly overdue?: boolean;
  /** Id of the last event of the page before: only older ones. What is recorded meanwhile moves no page. */
  readonly before?: string;
  /**
   * From 1; no more than 1000 are returned at once. `before` gets the next page.
   * @default 100
   */
  readonly limit?: number;
}

export interface InboxFilter {
  /**
   * `handled` without an `eventId` or a `key` reads the whole table.
   * @default without an `eventId` or a `key`: every one but `handled`
   */
  readonly status?: InboxStatus;
  readonly consumer?: string;
  readonly type?: string;
  /** All that this service's consumers know of the events with this key. */
  readonly key?: string;
  /** All that this service's consumers know of one event. */
  readonly eventId?: string;
  /** `cursor` of the last record of the page before: only what came before it. What comes meanwhile moves no page. */
  readonly before?: string;
  /**
   * From 1; no more than 1000 are returned at once. `before` gets the next page.
   * @default 100
   */
  readonly limit?: number;
}

/** An event of the outbox as a person looks at it. */
export interface EventRecord {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly status: OutboxStatus;
  readonly consumers: readonly string[];
  readonly attempts: number;
  readonly reason: string | null;
  readonly history: readonly AttemptRecord[];
  readonly outcomes: readonly ReportedOutcome[];
  readonly redrives: number;
  readonly compensationAttempts: number;
  readonly createdAt: Date;
  readonly publishedAt: Date | null;
  readonly endedAt: Date | null;
  readonly compensatedAt: Date | null;
  /** When somebody looks at it next; null at an end. */
  readonly dueAt: Date | null;
  /** What people search it by. */
  readonly key: string | null;
  /** Id of the event that was being handled, or compensated, when this one was recorded. */
  readonly causationId: string | null;
  /** When a person has dealt with it, dead as it is. */
  readonly archivedAt: Date | null;
}

/** A row of the inbox as a person looks at it. */
export interface InboxRecord {
  readonly eventId: string;
  readonly consumer: string;
  readonly type: string;
  readonly version: number;
  readonly status: InboxStatus;
  readonly attempts: number;
  readonly unfinishedStarts: number;
  readonly reason: string | null;
  readonly history: readonly AttemptRecord[];
  /** The message's bytes; null for handled rows. */
  readonly body: Buffer | null;
  readonly properties: Readonly<Record<string, unknown>> | null;
  readonly receivedAt: Date;
  readonly endedAt: Date | null;
  readonly dueAt: Date | null;
  /** What people search the event by. */
  readonly key: string | null;
  /** Its place in the list, for `before`; otherwise without a meaning. */
  readonly cursor: string;
}

/** A row of the inbox without its message. */
export type HandlingRecord = Omit<InboxRecord, 'body' | 'properties' | 'cursor'>;

/** Each count stops at `STATISTICS_CAP`: a larger number reads as the cap. */
export interface ReliableMqStatistics {
  readonly outbox: {
    readonly pending: number;
    readonly published: number;
    /** All dead events: those that are being compensated, that were, and that need a person. */
    readonly dead: number;
    /** Dead events whose compensation has not committed yet. */
    readonly compensating: number;
    /** Dead events whose compensation handler has committed: their business was undone. */
    readonly compensated: number;
    /**
     * Dead events that nobody has undone and nobody will: they have no compensation handler. Redrive, archive or discard them. Archived ones
     * don't count.
     */
    readonly needPerson: number;
    /** How far behind the longest-due row is, in milliseconds; 0 when nothing is overdue. */
    readonly oldestOverdueMs: number;
    /** Rows of all kinds: an estimate, made of the table's size; exact below some 8 MB. */
    readonly estimatedRows: number;
  };
  readonly inbox: {
    readonly failed: number;
    readonly rejected: number;
    readonly dead: number;
    readonly oldestOverdueMs: number;
    /** As that of the outbox. */
    readonly estimatedRows: number;
    /** Queues of this service that people have paused. */
    readonly paused: readonly PausedQueue[];
  };
}

export const STATISTICS_CAP = 10_000;
