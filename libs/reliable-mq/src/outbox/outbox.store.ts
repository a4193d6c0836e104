import type { EntityManager } from 'typeorm';
import type { ConsumerOutcome } from '../event/outcome';
import type { OutboxStatus, StoredOutcome } from './outbox.entity';

/**
 * The outbox of one DataSource. What a method does to a row it does in one statement, or one transaction of its own; all times are the
 * database's; ids are UUIDs.
 * Implementations share one contract suite (test/contract/outbox-store.contract.ts).
 */
export interface OutboxStore {
  /**
   * Insert events that are born claimed under `token` for `leaseMs`, in the manager's open transaction. The attempt that they
   * are born with counts when its outcome is written, so that it costs nothing to leave it to a later claim.
   */
  insert(manager: EntityManager, events: readonly NewOutboxEvent[], token: string, leaseMs: number): Promise<void>;

  /** Which of these rows exist and are still claimed under the token: what really was committed. */
  existing(ids: readonly string[], token: string): Promise<ReadonlySet<string>>;

  /**
   * Take due rows of one status, oldest due first, for `leaseMs`; counts an attempt for each. Rows that another transaction
   * holds are passed over, so any number of instances may call it at once.
   * Payloads are read afterwards, so that no more of them are in memory than the limit allows.
   * @param limit how many; what it leaves is claimed by the next call
   * @param range which of them to look at, so that the dead index entries before it are not walked; undefined: at all
   * @returns the events in the order of their ids, which is about that of their commits
   */
  claim(status: ClaimableStatus, limit: ClaimLimit, leaseMs: number, token: string, range?: DueRange): Promise<Claim>;

  /**
   * Write how publishing ended, for rows that still carry their token.
   * @returns the settlements that changed nothing, and why
   */
  settle(settlements: readonly PublishSettlement[]): Promise<readonly Unsettled[]>;

  /**
   * Write receipts, and what follows from them. A receipt for an unknown, unconfirmed or ended event changes no status. Waits
   * for no compensation: while one runs, receipts of its event are `busy`. One that the database refuses keeps no other from being
   * written.
   * @param keptHours how long an ended event is kept: one that was recorded before that may have been pruned, and is not `unknown`
   */
  applyReceipts(receipts: readonly Receipt[], keptHours?: number): Promise<AppliedReceipts>;

  /**
   * End the compensation of a dead event, in the transaction of its handler (`handled`), or because none is registered.
   * @returns false when the token no longer matches: the caller must roll back
   */
  settleCompensated(manager: EntityManager | undefined, id: string, token: string, handled: boolean): Promise<boolean>;

  /** The compensation handler failed: due again after `delayMs`. */
  settleCompensationFailed(id: string, token: string, reason: string, delayMs: number): Promise<boolean>;

  /**
   * Delete up to `limit` ended rows (never dead ones) that ended more than `olderThanHours` ago.
   * @param afterId look only at later ids, so that the dead index entries before it are not walked
   * @returns the ids that were deleted, in order
   */
  prune(olderThanHours: number, limit: number, afterId?: string): Promise<readonly string[]>;
}

export type ClaimableStatus = Exclude<OutboxStatus, 'consumed'>;

/** Of one claim. */
export interface ClaimLimit {
  readonly rows: number;
  /** UTF-8 bytes of payload before the last row: one row is claimed however large it is. */
  readonly bytes: number;
}

/** Due from this on (`lastDueAt` of an earlier claim), or for no longer than so many milliseconds. */
export type DueRange = { readonly dueFrom: string } | { readonly dueWithinMs: number };

export interface NewOutboxEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  /** JSON text. */
  readonly payload: string;
  readonly headers: Readonly<Record<string, string | number | boolean>> | null;
  readonly consumers: readonly string[];
  readonly confirm: boolean;
  /** What people search it by; at most 200 characters. */
  readonly key: string | null;
  /** Id of the event that was being handled when it was recorded: a UUID. */
  readonly causationId: string | null;
}

export interface Claim {
  readonly events: readonly ClaimedEvent[];
  /** The latest `due_at` among them before this claim, in the store's own notation. */
  readonly lastDueAt: string | undefined;
  /** Whether the limit was reached, so that more may be due. */
  readonly isFull: boolean;
}

export interface ClaimedEvent extends NewOutboxEvent {
  /** Including the attempt that this claim has begun. */
  readonly attempts: number;
  readonly compensationAttempts: number;
  readonly redrives: number;
  /** How long ago the broker confirmed it last, in milliseconds; null: never. */
  readonly publishedAgoMs: number | null;
  readonly outcomes: Readonly<Record<string, StoredOutcome>>;
  readonly reason: string | null;
  /** How long it had been due, in milliseconds. */
  readonly overdueMs: number;
}

/**
 * - `published`: confirmed and routed; due again after `delayMs` when receipts are expected
 * - `retry`: refused or returned; due after `delayMs`, with the reason in its history
 * - `postponed`: not really tried; due after `delayMs`, the attempt is given back
 * - `dead`: given up; due at once for its compensation
 */
export type PublishResult = 'published' | 'retry' | 'postponed' | 'dead';

export interface PublishSettlement {
  readonly id: string;
  readonly token: string;
  readonly result: PublishResult;
  readonly delayMs: number;
  readonly reason: string | null;
}

export interface Unsettled extends Pick<PublishSettlement, 'id' | 'token'> {
  /**
   * `claim-lost`: the row carries another claim, or none. `ended`: the event has ended meanwhile. `missing`: there is no such row that
   * this store can see.
   */
  readonly because: 'claim-lost' | 'ended' | 'missing';
}

/** A consumer's report, as the producer's store takes it. */
export interface Receipt {
  readonly eventId: string;
  readonly consumer: string;
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  /** Where the consumer threw; at most 200 characters. */
  readonly where?: string | undefined;
  /** For `retrying`: when the consumer tries next, in milliseconds from now. */
  readonly retryAfterMs: number | null;
  /**
   * `redrives` of the message that the report is about. What a consumer failed at before the event was sent again by hand
   * says nothing about the event as it is now.
   */
  readonly redrives: number;
}

export interface AppliedReceipts {
  readonly applied: readonly AppliedReceipt[];
  /** Events whose rows are held by a running compensation: nothing was written for them; try again. */
  readonly busy: readonly string[];
  /** Ids of events that are not there: another service's, or of a database that has lost commits. */
  readonly unknown: readonly string[];
  readonly refused: readonly RefusedReceipt[];
}

/** A receipt that the database does not take. */
export interface RefusedReceipt extends Receipt {
  readonly because: string;
}

export interface AppliedReceipt {
  readonly eventId: string;
  readonly type: string;
  readonly statusBefore: OutboxStatus;
  readonly status: OutboxStatus;
  readonly reason: string | null;
  /** Consumers whose outcome is another one than before. */
  readonly changed: readonly string[];
  /** The consumers that the event declares, when one of `changed` is none of them. */
  readonly declared?: readonly string[] | undefined;
}
