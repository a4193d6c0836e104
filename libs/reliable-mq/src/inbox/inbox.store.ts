import type { EntityManager } from 'typeorm';
import type { FinalOutcome } from '../event/outcome';
import type { InboxStatus } from './inbox.entity';

/** The inbox of one DataSource. Every method is one statement; all times are the database's. */
export interface InboxStore {
  /**
   * Claim the right to handle, in the handler's transaction: insert the row as `handled`. A concurrent duplicate waits here
   * for the other transaction, then sees its row.
   * @returns false when the row exists already
   */
  insertHandled(manager: EntityManager, key: InboxKey, message: InboxMessage): Promise<boolean>;

  /**
   * The same for several messages of one consumer, whose handlers share a transaction. In the order of their ids, so that two
   * instances that claim the same messages wait for each other, and do not deadlock.
   */
  insertHandledAll(
    manager: EntityManager,
    of: Pick<InboxKey, 'consumer' | 'type'>,
    messages: readonly SharedMessage[],
  ): Promise<SharedClaim>;

  /** In the transaction that claimed them, before its COMMIT: these messages were not handled in it after all. */
  withdraw(manager: EntityManager, claim: SharedClaim, eventIds: readonly string[]): Promise<void>;

  /**
   * The same after the transaction: a handler has ended it by SQL of its own, and its COMMIT stored the rows of messages that
   * nobody had handled yet. Deletes no row that another transaction has inserted.
   */
  withdrawCommitted(claim: SharedClaim, eventIds: readonly string[]): Promise<void>;

  find(key: InboxKey): Promise<InboxRow | undefined>;

  /**
   * Take a message over from the broker: insert it as `failed`, already claimed for `leaseMs`, with its attempt counted
   * before it starts. From then on the row, not the broker, brings it to its end. Waits for a concurrent duplicate's
   * transaction, `leaseMs` at most.
   * @param unfinishedStarts starts to assume, this one included
   * @returns false when the row exists already
   */
  adopt(key: InboxKey, message: InboxMessage, claim: InboxClaim, unfinishedStarts: number): Promise<boolean>;

  /**
   * The first attempt failed before there was a row: insert one, due after `retryInMs`, or ended.
   * @param waitMs how long to wait for a concurrent duplicate's transaction, in milliseconds
   * @returns false when the row exists already
   */
  insertFailure(key: InboxKey, message: InboxMessage, failure: InboxFailure, waitMs: number): Promise<boolean>;

  /** Put a message aside that no handler can take. @returns false when it was put aside before */
  park(key: InboxKey, message: InboxMessage, reason: string): Promise<boolean>;

  /**
   * Take due rows of these queues, oldest due first, each for its queue's `leaseMs`; counts an attempt and a start for each.
   * Rows that others are claiming at the moment are skipped.
   * @param which suspects, or all others: a suspect must run alone
   */
  claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]>;

  /** Whether a suspect is due. */
  hasDueSuspect(queues: readonly ClaimableQueue[]): Promise<boolean>;

  /**
   * Give a dead or rejected row that the producer has sent again by hand (`redrives` is newer than the row's) a new start,
   * claimed for the caller. @returns undefined when the row is not such a one
   */
  claimRedriven(key: InboxKey, redrives: number, claim: InboxClaim): Promise<ClaimedInboxRow | undefined>;

  /** In the handler's transaction. @returns false when the token no longer matches: roll back */
  settleHandled(manager: EntityManager, key: InboxKey, token: string): Promise<boolean>;

  /** @returns false when the token no longer matches: the other claim's outcome stands */
  settleFailed(key: InboxKey, token: string, failure: InboxFailure): Promise<boolean>;

  /** Give a claimed row back without its attempt having counted: due at once. */
  release(key: InboxKey, token: string): Promise<boolean>;

  /**
   * The same for all rows of a claim whose answer never came. Reads all unfinished rows: not for every run of a job.
   * @returns how many it had taken and still had
   */
  releaseClaim(token: string): Promise<number>;

  /**
   * Delete up to `limit` ended rows that ended more than `olderThanHours` ago, those that ended first.
   * @param endedFrom look only at what ended from this moment on (`lastEndedAt` of an earlier call), so that the dead index
   *   entries before it are not walked
   */
  prune(olderThanHours: number, limit: number, endedFrom?: string): Promise<Pruned>;
}

export interface Pruned {
  readonly count: number;
  /** When the latest of them had ended, in the store's own notation. */
  readonly lastEndedAt: string | undefined;
}

/** What is one handling: a foreign publisher may give one id to messages of several types. */
export interface InboxKey {
  readonly eventId: string;
  readonly consumer: string;
  readonly type: string;
}

/** What is kept of a message, so that it can be handled again without the broker. */
export interface InboxMessage {
  readonly version: number;
  readonly body: Buffer;
  /** JSON-safe properties: routing key, replyTo, headers, … */
  readonly properties: Readonly<Record<string, unknown>>;
  readonly redrives: number;
}

/** A message that shares its transaction with others. */
export interface SharedMessage {
  readonly eventId: string;
  readonly stored: Pick<InboxMessage, 'version' | 'redrives'>;
}

/** Which messages a transaction has claimed for its handlers. */
export interface SharedClaim {
  readonly consumer: string;
  readonly type: string;
  readonly eventIds: ReadonlySet<string>;
  /** The database's name for the transaction; undefined when nothing was claimed. */
  readonly transaction: string | undefined;
}

export interface InboxClaim {
  readonly token: string;
  readonly leaseMs: number;
}

/** Rows of one consumer and event type. */
export interface ClaimableQueue {
  readonly consumer: string;
  readonly type: string;
  readonly leaseMs: number;
}

/**
 * A row with so many starts in a row that never finished is suspected of killing its process. One start may have ended with
 * the process that another message killed; so may a second, of a message that was redelivered beside the same killer.
 */
export const SUSPECT_STARTS = 2;

export interface InboxFailure {
  readonly reason: string;
  /** Due after `retryInMs`, or the end. */
  readonly next: { readonly retryInMs: number } | { readonly end: Exclude<FinalOutcome, 'handled'> };
}

export interface InboxRow {
  readonly status: InboxStatus;
  readonly attempts: number;
  readonly redrives: number;
  readonly reason: string | null;
  /** Milliseconds until it is due; negative when overdue; null at an end. */
  readonly dueInMs: number | null;
}

export interface ClaimedInboxRow extends InboxKey, InboxMessage {
  /** Including the attempt that this claim has begun. */
  readonly attempts: number;
  readonly unfinishedStarts: number;
  readonly overdueMs: number;
}
