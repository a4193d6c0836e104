import type { EntityManager } from 'typeorm';
import type { ConsumerOutcome } from '../domain/outcome';
import type { OutboxStatus, StoredOutcome } from './outbox.entity';

/**
 * The outbox of one DataSource. Every method is one statement; all times are the database's; ids are UUIDs.
 * Implementations share one contract suite (test/contract/outbox-store.contract.ts).
 */
export interface OutboxStore {
  /** Insert events that are born claimed under `token` for `leaseMs`, in the manager's open transaction. */
  insert(manager: EntityManager, events: readonly NewOutboxEvent[], token: string, leaseMs: number): Promise<void>;

  /** Which of these rows exist and are still claimed under the token: what really was committed. */
  existing(ids: readonly string[], token: string): Promise<ReadonlySet<string>>;

  /**
   * Take up to `limit` due rows of one status, oldest due first, for `leaseMs`; counts an attempt for each. Rows that another
   * transaction holds are passed over, so any number of instances may call it at once.
   * @param dueFrom lower bound on `due_at` (as an earlier call returned it), so that a long drain does not walk the dead index
   *   entries that it has left behind; undefined looks at everything
   */
  claim(
    status: ClaimableStatus,
    limit: number,
    leaseMs: number,
    token: string,
    dueFrom?: string,
  ): Promise<readonly ClaimedEvent[]>;

  /**
   * Write how publishing ended. Only rows that still carry their token change; the ids of the others, unless they have ended
   * meanwhile, are returned: their claim was lost.
   */
  settle(settlements: readonly PublishSettlement[]): Promise<readonly string[]>;

  /** Write receipts, and what follows from them. A receipt for an unknown or ended event changes no status. */
  applyReceipts(receipts: readonly Receipt[]): Promise<readonly AppliedReceipt[]>;

  /**
   * End the compensation of a dead event, in the transaction of its handler (`handled`), or because none is registered.
   * @returns false when the token no longer matches: the caller must roll back
   */
  settleCompensated(manager: EntityManager | undefined, id: string, token: string, handled: boolean): Promise<boolean>;

  /** The compensation handler failed: due again after `delayMs`. */
  settleCompensationFailed(id: string, token: string, reason: string, delayMs: number): Promise<boolean>;

  /**
   * Delete up to `limit` ended rows (never dead ones) that ended more than `olderThanHours` ago.
   * @returns the ids that were deleted, in order
   */
  prune(olderThanHours: number, limit: number, afterId?: string): Promise<readonly string[]>;
}

export type ClaimableStatus = Exclude<OutboxStatus, 'consumed'>;

export interface NewOutboxEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  /** JSON text. */
  readonly payload: string;
  readonly headers: Readonly<Record<string, string | number | boolean>> | null;
  readonly consumers: readonly string[];
  readonly confirm: boolean;
}

export interface ClaimedEvent extends NewOutboxEvent {
  /** Including the attempt that this claim has begun. */
  readonly attempts: number;
  readonly compensationAttempts: number;
  readonly redrives: number;
  /** Whether the broker had confirmed it before. */
  readonly publishedBefore: boolean;
  readonly outcomes: Readonly<Record<string, StoredOutcome>>;
  readonly reason: string | null;
  /** `due_at` as it was before this claim, in the store's own notation: for `dueFrom`. */
  readonly dueAt: string;
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

/** A consumer's report, as the producer's store takes it. */
export interface Receipt {
  readonly eventId: string;
  readonly consumer: string;
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  /** For `retrying`: when the consumer tries next, in milliseconds from now. */
  readonly retryAfterMs: number | null;
}

export interface AppliedReceipt {
  readonly eventId: string;
  readonly type: string;
  readonly statusBefore: OutboxStatus;
  readonly status: OutboxStatus;
  readonly reason: string | null;
}
