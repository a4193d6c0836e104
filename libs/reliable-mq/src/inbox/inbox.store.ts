import type { EntityManager } from 'typeorm';
import type { FinalOutcome } from '../event/outcome';
import type { InboxStatus } from './inbox.entity';

/** The inbox of one DataSource. Every method is one statement; all times are the database's. */
export interface InboxStore {
  /**
   * Claim the right to handle, in the handler's transaction: insert the row as `handled`. A concurrent duplicate waits here
   * for the other transaction, then sees its row.
   * @param idleLimitMs as in `DatabasePort.limitIdleTime`, set by the same statement
   * @returns false when the row exists already
   */
  insertHandled(manager: EntityManager, key: InboxKey, message: MessageIdentity, idleLimitMs: number): Promise<boolean>;

  /**
   * The same for several messages of one consumer and type, which a handler takes together. In the order of their ids, so that two
   * instances that claim the same messages wait for each other, and do not deadlock.
   * @returns the ids of those whose rows did not exist
   */
  insertHandledAll(
    manager: EntityManager,
    of: Pick<InboxKey, 'consumer' | 'type'>,
    messages: readonly IdentifiedMessage[],
  ): Promise<ReadonlySet<string>>;

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
   * A message without a row was not handled: insert it, due or ended.
   * @param waitMs how long to wait for a concurrent duplicate's transaction, in milliseconds
   * @returns false when the row exists already
   */
  insertFailure(key: InboxKey, message: InboxMessage, failure: InboxFailure, waitMs: number): Promise<boolean>;

  /**
   * Put a message aside that no handler can take, as `rejected`. One that has been put aside before is put aside again: with this
   * reason, and now.
   * @returns false when it was put aside before, or is being tried again
   */
  park(key: InboxKey, message: InboxMessage, reason: string): Promise<boolean>;

  /** A message that was put aside under an id made of its bytes can be taken after all. Forget that it was. */
  unpark(key: InboxKey): Promise<void>;

  /**
   * Take due rows of these queues, of each at most its `limit`, in all at most `limit`, oldest due first, each for its queue's
   * `leaseMs`. Only a lease is taken: nothing has started yet, so nothing is counted. Rows that others are claiming at the moment
   * are skipped, and so are versions that nobody here handles while they may wait for a release that does.
   * @param which suspects, or all others: a suspect must run alone
   */
  claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]>;

  /** Those of the queues in which a suspect is due. */
  queuesWithSuspects(queues: readonly ClaimableQueue[]): Promise<readonly Pick<InboxKey, 'consumer' | 'type'>[]>;

  /**
   * The attempt of a claimed row begins: count it and the start, and give the claim a whole lease. Says the same however often it is
   * said, so that an answer that was lost costs nothing.
   * @param begun with this attempt and this start counted
   * @returns false when the token no longer matches
   */
  start(key: InboxKey, claim: InboxClaim, begun: StartCounts): Promise<boolean>;

  /**
   * Give a dead or rejected row a new start, claimed for the caller: the producer has sent it again by hand (`redrives` is newer than
   * the row's), or a person has moved the message back out of the parking queue.
   * @returns undefined when the row is not such a one
   */
  claimAnew(
    key: InboxKey,
    redrives: number,
    movedBack: boolean,
    claim: InboxClaim,
  ): Promise<ClaimedInboxRow | undefined>;

  /**
   * A message that was kept under an id made of its bytes has turned out to be readable: its row gets the message's own id.
   * @returns false when the token no longer matches, or that id has a row already
   */
  rename(key: InboxKey, token: string, eventId: string, bodyHash: Buffer | null): Promise<boolean>;

  /** In the handler's transaction. @returns false when the token no longer matches: roll back */
  settleHandled(manager: EntityManager, key: InboxKey, token: string): Promise<boolean>;

  /** @returns false when the token no longer matches: the other claim's outcome stands */
  settleFailed(key: InboxKey, token: string, failure: InboxFailure): Promise<boolean>;

  /**
   * Give a claimed row back: due at once.
   * @param before as they were before the attempt that has not counted
   */
  release(key: InboxKey, token: string, before: StartCounts): Promise<boolean>;

  /**
   * Let messages whose versions are handled now wait no longer: they are due at once.
   * @returns how many, `limit` at most
   */
  wakeWaiting(queues: readonly ClaimableQueue[], limit: number): Promise<number>;

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

/** What a row knows of its message for good. */
export interface MessageIdentity {
  readonly version: number;
  readonly redrives: number;
  /** SHA-256 of the bytes, of a message that this library did not publish: its id may have been given to another. */
  readonly bodyHash: Buffer | null;
  /** What people search the event by; at most 200 characters. */
  readonly key: string | null;
}

/** What is kept of a message, so that it can be handled again without the broker. */
export interface InboxMessage extends MessageIdentity {
  readonly body: Buffer;
  /** JSON-safe properties: routing key, replyTo, headers, … */
  readonly properties: Readonly<Record<string, unknown>>;
}

/** A message that shares its transaction with others. */
export interface IdentifiedMessage {
  readonly eventId: string;
  readonly stored: MessageIdentity;
}

export interface InboxClaim {
  readonly token: string;
  readonly leaseMs: number;
}

export interface StartCounts {
  readonly attempts: number;
  readonly unfinishedStarts: number;
}

/** Rows of one consumer and event type. */
export interface ClaimableQueue {
  readonly consumer: string;
  readonly type: string;
  /** The versions that are handled here. */
  readonly versions: readonly number[];
  readonly leaseMs: number;
  /** How long a row of another version may wait for a release that handles it, in milliseconds since it was received. */
  readonly waitMs: number;
  /** Rows of this queue that one claim takes at most. */
  readonly limit: number;
}

/**
 * A row with so many starts in a row that never finished is suspected of killing its process. One start may have ended with
 * the process that another message killed; so may a second, of a message that was redelivered beside the same killer.
 */
export const SUSPECT_STARTS = 2;

export interface InboxFailure {
  readonly reason: string;
  /** Where it was thrown, for the history; at most 200 characters. */
  readonly where?: string | undefined;
  /** Due after `retryInMs`; waiting for a release that handles it, without an attempt, for `waitMs`; or the end. */
  readonly next:
    { readonly retryInMs: number } | { readonly waitMs: number } | { readonly end: Exclude<FinalOutcome, 'handled'> };
}

export interface InboxRow {
  readonly status: InboxStatus;
  readonly attempts: number;
  readonly redrives: number;
  readonly reason: string | null;
  /** Where what the reason says was thrown. */
  readonly where?: string | undefined;
  readonly bodyHash: Buffer | null;
  /** Milliseconds until it is due; negative when overdue; null at an end. */
  readonly dueInMs: number | null;
}

export interface ClaimedInboxRow extends InboxKey, InboxMessage, StartCounts {
  readonly overdueMs: number;
}
