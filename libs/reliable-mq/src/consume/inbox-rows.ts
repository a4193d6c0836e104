import { randomUUID } from 'node:crypto';
import type { HandlingRef } from '../event/hooks';
import type { HookRunner } from '../event/hook-runner';
import type { ClaimedInboxRow, InboxKey, InboxMessage } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../database/stores';
import { type Attempts, handlingRef } from './attempts';
import { type Conclusion, failureAfter } from './conclusion';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import type { Isolation } from './isolation';
import type { OpenedMessage, PostponedMessage, ReadMessage, UnreadableMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';
import type { Reading } from './payload-check';

/** Puts a message that no handler can take into the parking queue. @returns false when the process is stopping */
export type Park = (message: UnreadableMessage) => Promise<boolean>;

/** Concludes messages of which the inbox has a row, or is given one without an attempt. */
export class InboxRows {
  constructor(
    private readonly options: ResolvedOptions['consume'],
    private readonly attempts: Attempts,
    private readonly outcomes: OutcomeWriter,
    private readonly isolation: Isolation,
    private readonly hooks: HookRunner,
  ) {}

  /**
   * What becomes of a claimed row by what its message turned out to be.
   * @param park if a message that no handler can take is rejected at once; without it, that is a failed attempt
   */
  async conclude(
    reading: Reading | undefined,
    ref: HandlingRef,
    token: string,
    set: StoreSet,
    park?: Park,
  ): Promise<Conclusion | undefined> {
    if (reading?.kind === 'event') return this.attempts.claimed(reading.message, ref.attempt, token);
    if (!reading || (reading.kind === 'unreadable' && park && !(await park(reading)))) {
      await this.outcomes.giveBack(set, ref, token);
      return undefined;
    }
    const policy = (reading.kind === 'postponed' && reading.handler) || this.options;
    const kind = reading.kind === 'unreadable' && park ? 'rejected' : 'failed';
    return this.outcomes.settleFailure(set, ref, token, failureAfter(kind, reading.reason, ref.attempt, policy));
  }

  /**
   * The inbox has a row for the message already; a dead one may have been sent again by hand.
   * @param attempt what is done with one that was
   */
  async concludeExisting(
    message: OpenedMessage | ReadMessage,
    onOwned: () => void,
    attempt: (ref: HandlingRef, token: string) => Promise<Conclusion | undefined>,
  ): Promise<Conclusion | undefined> {
    const { handler, stored } = message;
    const ref = handlingRef(message, 1);
    const redriven = await this.claimRedriven(handler.stores, ref, stored, handler.timeoutMs);
    if (redriven === undefined) return undefined;
    if (redriven !== null) {
      const { row, token } = redriven;
      onOwned();
      return this.isolation.beside(() => attempt(handlingRef(message, row.attempts), token));
    }
    this.hooks.run('duplicate', { eventId: ref.eventId, type: ref.type, consumer: ref.consumer });
    return this.outcomes.existing(handler.stores, ref);
  }

  /** Store a postponed message as a failed attempt, so that it is tried again. @returns undefined when the process is stopping */
  async keep({ consumer, type, stores }: QueueHandlers, message: PostponedMessage): Promise<Conclusion | undefined> {
    const { eventId, reason } = message;
    const { stored } = message.envelope;
    const policy = message.handler ?? this.options;
    const ref: HandlingRef = { eventId, type, consumer, attempt: 1 };
    const failure = failureAfter('failed', reason, 1, policy);
    const waitMs = handlingLeaseMs(policy.timeoutMs);
    const kept = await this.outcomes.insertFailure(stores, ref, stored, failure, waitMs);
    if (kept !== 'existing') return kept;
    const redriven = await this.claimRedriven(stores, ref, stored, policy.timeoutMs);
    if (redriven === undefined) return undefined;
    if (redriven === null) return this.outcomes.existing(stores, ref);
    return this.outcomes.settleFailure(stores, ref, redriven.token, failure);
  }

  /** @returns null when the row is no dead one that was sent again by hand; undefined when the process is stopping */
  private async claimRedriven(
    set: StoreSet,
    key: InboxKey,
    { redrives }: InboxMessage,
    timeoutMs: number,
  ): Promise<{ readonly row: ClaimedInboxRow; readonly token: string } | null | undefined> {
    if (redrives === 0) return null;
    const claim = { token: randomUUID(), leaseMs: handlingLeaseMs(timeoutMs) };
    const claimed = async (): Promise<ClaimedInboxRow | null> =>
      (await set.inbox.claimRedriven(key, redrives, claim)) ?? null;
    const row = await this.outcomes.persist(set, claimed);
    return row && { row, token: claim.token };
  }
}
