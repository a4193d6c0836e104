import { randomUUID } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { StoreSet } from '../database/stores';
import type { ClaimedInboxRow, InboxClaim, InboxKey, StartCounts } from '../inbox/inbox.store';
import { createLog } from '../log/log';
import { handlingLeaseMs } from './handler';
import type { InboxWriter } from './inbox-writer';
import type { OpenedMessage, UnhandledMessage, UnreadableMessage } from './message';
import { asInboxFailure, type Failure } from './outcome';

/** The right to handle one message. All that a message's ways into the pipeline differ in. */
export type Claim = FreshClaim | HeldClaim;

interface ClaimSteps {
  /** Of the row that there is, or will be. */
  readonly key: InboxKey;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** The inbox has the message, with its attempt counted: the broker need not keep it any more. */
  readonly isOwned: boolean;
  /** A message that no handler can take is put aside at once. Otherwise that is a failed attempt: another release may have let it in. */
  readonly parksInvalid: boolean;
  /** In the handler's transaction. @returns false when somebody else has the message: roll back */
  begin(manager: EntityManager, idleLimitMs: number): Promise<boolean>;
  /** Store how it ended otherwise. @returns false when somebody else has the message; undefined when the process is stopping */
  settle(failure: Failure): Promise<boolean | undefined>;
  /** As if it had never been. */
  giveBack(): Promise<void>;
}

/** A row of the inbox, and the claim on it. */
export interface ClaimedRow {
  readonly row: ClaimedInboxRow;
  readonly token: string;
}

/** The inbox does not know the message yet: its row is a part of the handler's transaction. */
export class FreshClaim implements ClaimSteps {
  readonly attempt = 1;
  readonly isOwned = false as const;
  readonly parksInvalid = true;
  readonly key: InboxKey;

  constructor(
    private readonly stores: StoreSet,
    private readonly message: OpenedMessage | UnreadableMessage | UnhandledMessage,
    /** How long one handling of it may take, in milliseconds. */
    private readonly timeoutMs: number,
    private readonly writer: InboxWriter,
  ) {
    this.key = message.kind === 'unreadable' ? message.parkingKey() : message.key;
  }

  begin(manager: EntityManager, idleLimitMs: number): Promise<boolean> {
    return this.stores.inbox.insertHandled(manager, this.key, this.message.stored, idleLimitMs);
  }

  settle(failure: Failure): Promise<boolean | undefined> {
    const { stores, message } = this;
    const waitMs = handlingLeaseMs(this.timeoutMs);
    return this.writer.persist(stores, () =>
      stores.inbox.insertFailure(this.key, message.stored, asInboxFailure(failure), waitMs),
    );
  }

  async giveBack(): Promise<void> {
    // Nothing was stored, and the broker has the message still.
  }
}

/** The inbox has the message, under a claim of ours. */
export class HeldClaim implements ClaimSteps {
  readonly isOwned = true as const;
  private readonly log = createLog();
  private begun: StartCounts;

  constructor(
    private readonly stores: StoreSet,
    public key: InboxKey,
    private readonly claim: InboxClaim,
    private readonly before: StartCounts,
    readonly parksInvalid: boolean,
    private readonly writer: InboxWriter,
  ) {
    this.begun = { attempts: before.attempts + 1, unfinishedStarts: before.unfinishedStarts + 1 };
  }

  get attempt(): number {
    return this.begun.attempts;
  }

  /** Counts the attempt, before it starts. @returns false when the claim was lost; undefined when the process is stopping */
  start(): Promise<boolean | undefined> {
    return this.writer.persist(this.stores, () => this.stores.inbox.start(this.key, this.claim, this.begun));
  }

  /** The message has turned out to be readable: its row gets its own id. @returns false when that has a row already */
  async rename({ key, stored }: OpenedMessage): Promise<boolean | undefined> {
    const { inbox } = this.stores;
    const renamed = await this.writer.persist(this.stores, () =>
      inbox.rename(this.key, this.claim.token, key.eventId, stored.bodyHash),
    );
    if (renamed) this.key = key;
    return renamed;
  }

  /** Another row stands for the message: this one is not needed. */
  async drop(): Promise<void> {
    const { inbox } = this.stores;
    await this.settle({ kind: 'rejected', reason: 'its own id has a row' });
    await this.writer.persist(this.stores, () => inbox.unpark(this.key));
  }

  async begin(manager: EntityManager, idleLimitMs: number): Promise<boolean> {
    await this.stores.database.limitIdleTime(manager, idleLimitMs);
    return this.stores.inbox.settleHandled(manager, this.key, this.claim.token);
  }

  settle(failure: Failure): Promise<boolean | undefined> {
    const { inbox } = this.stores;
    return this.writer.persist(this.stores, () =>
      inbox.settleFailed(this.key, this.claim.token, asInboxFailure(failure)),
    );
  }

  /** A process that is stopping tries once: if it fails, the lease must run out. */
  async giveBack(): Promise<void> {
    const { inbox } = this.stores;
    const released = await this.writer.persist(
      this.stores,
      () => inbox.release(this.key, this.claim.token, this.before),
      true,
    );
    if (released === undefined)
      this.log.warn('A claimed inbox row could not be given back; its lease must run out', this.key);
  }
}

/** Starts that a redelivered message is assumed to have had, the present one left out: its process may have died of it. */
const STARTS_BEFORE_REDELIVERY = 1;

/**
 * Take a message over that was delivered before, with its attempt counted: its process may have died of it. Of somebody else's the id
 * may be another message's, and is not taken before the payload is known to be good.
 * @returns undefined when there is a row already, or the process is stopping
 */
export async function adopt(
  stores: StoreSet,
  message: OpenedMessage,
  writer: InboxWriter,
  token: string = randomUUID(),
): Promise<HeldClaim | undefined> {
  const key = message.isOurs ? message.key : message.parkingKey();
  const claim = { token, leaseMs: handlingLeaseMs(message.handler.timeoutMs) };
  const before = { attempts: 0, unfinishedStarts: STARTS_BEFORE_REDELIVERY };
  const adopted = await writer.persist(stores, () =>
    stores.inbox.adopt(key, message.stored, claim, STARTS_BEFORE_REDELIVERY + 1),
  );
  return adopted ? new HeldClaim(stores, key, claim, before, true, writer) : undefined;
}
