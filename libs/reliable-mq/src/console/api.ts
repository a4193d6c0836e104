/**
 * What the console's page asks its controllers, and what they answer: JSON, below `<path>/api/`. The page is compiled against these types, and
 * imports nothing else of the library. Times are ISO 8601 in UTC; ids are UUIDs.
 *
 * | method and route | query or body | answer |
 * |---|---|---|
 * | GET session | | `Session` |
 * | GET now | | `Now` |
 * | GET events | `EventQuery` | `EventPage` |
 * | GET events/:id | `source` | `EventDetail` |
 * | GET handlings | `HandlingQuery` | `HandlingPage` |
 * | GET journey | `of`: a key or an event id | `JourneyAnswer` |
 * | GET failures | `source`, `side` | `FailuresAnswer` |
 * | GET queues | | `QueuesAnswer` |
 * | GET audit | `source`, `before` | `AuditPage` |
 * | GET runs | | `RunsAnswer` |
 * | POST operations | `OperationRequest` | `DryRunAnswer`, or 202 with `Run` |
 * | POST runs/:id/stop | | `Run` |
 * | POST queues/pause, queues/resume | `QueueRequest` | `QueueAnswer` |
 * | POST events/:id/edit-and-redrive | `EditRequest` | `EditAnswer` |
 *
 * Every POST carries the session's `csrf` in the header `x-reliable-mq-csrf`. What is refused answers with 4xx and `Problem`.
 */

export interface Session {
  readonly role: 'read' | 'act';
  /** Who the audit will say it was. */
  readonly actor: string;
  readonly csrf: string;
  readonly service: string;
  readonly version: string;
  /** The DataSources of the module, whose events can be changed, and other services' databases, which are only read. */
  readonly sources: readonly Source[];
}

export interface Source {
  readonly name: string;
  readonly database: 'postgres' | 'mysql' | 'mariadb';
  readonly isOwn: boolean;
}

/** Refreshed every few seconds; however many look, the databases are asked once in that time. */
export interface Now {
  readonly at: string;
  readonly health: { readonly status: 'up' | 'degraded' | 'down'; readonly reasons: readonly string[] };
  readonly sources: readonly SourceNow[];
  /** Counted by this process since it started: two answers and the time between them make a rate. */
  readonly totals: Readonly<Record<Total, number>>;
}

export type Total = 'recorded' | 'published' | 'consumed' | 'dead' | 'handled' | 'handlingFailed' | 'duplicate';

export interface SourceNow {
  readonly source: string;
  /** Why there are no numbers. */
  readonly problem?: string;
  readonly outbox?: {
    readonly pending: number;
    readonly published: number;
    readonly dead: number;
    readonly compensating: number;
    readonly compensated: number;
    readonly needPerson: number;
    readonly oldestOverdueMs: number;
  };
  readonly inbox?: {
    readonly failed: number;
    readonly rejected: number;
    readonly dead: number;
    readonly oldestOverdueMs: number;
  };
  /** A number that stands at this is this, or more. */
  readonly cap: number;
}

export type EventStatus = 'pending' | 'published' | 'consumed' | 'dead';
export type HandlingStatus = 'handled' | 'failed' | 'waiting' | 'rejected' | 'dead';

/** All of these hold. In the page's URL too, under the same names. */
export interface EventQuery {
  /** Default: the first one. */
  readonly source?: string;
  readonly status?: EventStatus;
  readonly type?: string;
  readonly key?: string;
  readonly causationId?: string;
  readonly needPerson?: 'true';
  readonly overdue?: 'true';
  readonly archived?: 'true';
  /** Of a group of failures; dead events only. */
  readonly fingerprint?: string;
  /** Recorded at least so long ago, in seconds. */
  readonly olderThan?: string;
  /** `next` of the page before. */
  readonly before?: string;
  /** 1 to 200; default 50. */
  readonly limit?: string;
}

export interface EventPage {
  readonly events: readonly EventSummary[];
  /** For `before`; without it there are no more. */
  readonly next?: string;
}

export interface EventSummary {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly key: string | null;
  readonly status: EventStatus;
  readonly attempts: number;
  readonly redrives: number;
  readonly reason: string | null;
  readonly consumers: readonly string[];
  readonly createdAt: string;
  readonly endedAt: string | null;
  readonly dueAt: string | null;
  readonly compensatedAt: string | null;
  readonly archivedAt: string | null;
}

export interface EventDetail extends EventSummary {
  /** As `redact` lets it through; `isRedacted`: it is not what was recorded. */
  readonly payload: unknown;
  readonly isRedacted: boolean;
  /** The payload was left out because of its size: a journey has those of up to 20,000 characters, the event by itself of up to 2,000,000. */
  readonly isCut?: boolean;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly history: readonly Attempt[];
  readonly outcomes: readonly Reported[];
  readonly causationId: string | null;
  readonly compensationAttempts: number;
  readonly publishedAt: string | null;
}

export interface Attempt {
  readonly attempt: number;
  readonly at: string;
  readonly reason: string;
  /** Where the application threw: `StockService.deduct (stock.service.ts:41)`; left out where that is not known. */
  readonly where?: string;
}

export interface Reported {
  readonly consumer: string;
  readonly outcome: 'handled' | 'retrying' | 'rejected' | 'dead';
  readonly reason?: string;
  /** As that of an attempt. */
  readonly where?: string;
  readonly at: string;
}

export interface HandlingQuery {
  readonly source?: string;
  readonly status?: HandlingStatus;
  readonly consumer?: string;
  readonly type?: string;
  readonly key?: string;
  readonly eventId?: string;
  readonly fingerprint?: string;
  readonly before?: string;
  readonly limit?: string;
}

export interface HandlingPage {
  readonly handlings: readonly Handling[];
  readonly next?: string;
}

export interface Handling {
  readonly source: string;
  readonly eventId: string;
  readonly consumer: string;
  readonly type: string;
  readonly version: number;
  readonly status: HandlingStatus;
  readonly key: string | null;
  readonly attempts: number;
  readonly reason: string | null;
  readonly history: readonly Attempt[];
  readonly receivedAt: string;
  readonly endedAt: string | null;
  readonly dueAt: string | null;
}

/** From record to each consumer's end, across the services whose databases are configured. */
export interface JourneyAnswer {
  readonly of: string;
  readonly events: readonly EventDetail[];
  readonly handlings: readonly Handling[];
  readonly isCut: boolean;
  /** Databases that could not be asked, with the reason: what they know is missing. */
  readonly unread: readonly { readonly source: string; readonly problem: string }[];
}

export type Side = 'events' | 'handlings';

export interface FailuresAnswer {
  readonly source: string;
  readonly side: Side;
  readonly groups: readonly FailureGroup[];
  readonly isCut: boolean;
}

export interface FailureGroup {
  readonly fingerprint: string;
  readonly text: string;
  /** Where the latest of them was thrown; null where that is not known. */
  readonly where: string | null;
  readonly count: number;
  readonly types: readonly string[];
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly example: { readonly eventId: string; readonly reason: string | null };
}

export interface QueuesAnswer {
  readonly queues: readonly Queue[];
}

export interface Queue {
  /** The DataSource that the consumer's inbox is in; of a queue of another service: undefined. */
  readonly source?: string;
  readonly name: string;
  readonly consumer: string;
  readonly type: string;
  /** Whether this service's handlers take from it, or its events wait for it. */
  readonly isOwn: boolean;
  /** Undefined: the broker could not be asked, or there is no such queue; `problem` says which. */
  readonly messages?: number;
  readonly consumers?: number;
  readonly problem?: string;
  /** Handlings in the inbox that have not ended; counting stops at 1,000. */
  readonly unfinished?: number;
  readonly overdueMs?: number;
  readonly paused?: { readonly since: string; readonly by: string; readonly why: string | null };
}

export interface AuditPage {
  readonly records: readonly AuditEntry[];
  readonly next?: string;
}

export interface AuditEntry {
  readonly source: string;
  readonly id: string;
  readonly at: string;
  readonly operation: string;
  readonly runId: string;
  readonly by: string;
  readonly why: string | null;
  readonly filter: Readonly<Record<string, unknown>> | null;
  readonly items: readonly unknown[];
  readonly count: number;
}

/** Ids, or everything that matches. Exactly one of `ids`, `keys` and `filter`. */
export interface OperationRequest {
  readonly operation: 'redrive' | 'archive' | 'discard' | 'retry';
  readonly source: string;
  /** Of `redrive`, `archive` and `discard`. */
  readonly ids?: readonly string[];
  /** Of `retry`. */
  readonly keys?: readonly { readonly eventId: string; readonly consumer: string; readonly type?: string }[];
  /** As in `EventQuery` (`type`, `key`, `causationId`, `needPerson`, `archived`, `fingerprint`) or `HandlingQuery` (`status`, `consumer`, `type`, `key`, `fingerprint`), flags as booleans. */
  readonly filter?: Readonly<Record<string, string | boolean>>;
  readonly dryRun?: boolean;
  /** Changes per second. */
  readonly perSecond?: number;
  readonly why?: string;
  readonly evenIfCompensated?: boolean;
}

export interface DryRunAnswer {
  /** A dry run stops counting at 10,000. */
  readonly matched: number;
  readonly first: readonly unknown[];
}

/** An operation that goes on in this process after the answer. Every part of it is in the audit under its id. */
export interface Run {
  readonly runId: string;
  readonly operation: OperationRequest['operation'];
  readonly source: string;
  readonly by: string;
  readonly startedAt: string;
  readonly state: 'running' | 'done' | 'stopped' | 'failed';
  readonly matched: number;
  readonly done: number;
  readonly problem?: string;
}

/** Those of this process, the latest first. */
export interface RunsAnswer {
  readonly runs: readonly Run[];
}

export interface QueueRequest {
  readonly source: string;
  readonly consumer: string;
  readonly type: string;
  readonly why?: string;
}

export interface QueueAnswer {
  /** False: it was so already. */
  readonly changed: boolean;
}

/** A new event in the place of a dead one: it names the old one as its cause, and the old one is archived, in one transaction. */
export interface EditRequest {
  readonly source: string;
  readonly payload: unknown;
  readonly why: string;
  /** Also of an event whose business was undone. */
  readonly evenIfCompensated?: boolean;
}

export interface EditAnswer {
  readonly eventId: string;
}

export interface Problem {
  /** E.g. `NOT_ALLOWED`, `CSRF`, `TOO_MANY`, `INVALID_OPTIONS`, `EVENT_NOT_FOUND`, `EVENT_NOT_DEAD`, `INVALID_EVENT`, `RUN_NOT_FOUND`, `UNAVAILABLE`, `FAILED`. */
  readonly code: string;
  readonly message: string;
}
