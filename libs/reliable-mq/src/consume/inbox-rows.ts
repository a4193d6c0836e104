import { randomUUID } from 'node:crypto';
import type { HandlingRef } from '../domain/hooks';
import type { HookRunner } from '../domain/hook-runner';
import type { ClaimedInboxRow, InboxKey, InboxMessage } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import { type Attempts, handlingRef } from './attempts';
import { type Conclusion, failureAfter } from './conclusion';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import type { Isolation } from './isolation';
import type { PostponedMessage, ReadMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';

/** Concludes messages of which the inbox has a row, or is given one without an attempt. */
export class InboxRows {
  constructor(
    private readonly options: ResolvedOptions['consume'],
    private readonly attempts: Attempts,
    private readonly outcomes: OutcomeWriter,
    private readonly isolation: Isolation,
    private readonly hooks: HookRunner,
  ) {}

  /** The inbox has a row for the message already; a dead one may have been sent again by hand. */
  async concludeExisting(message: ReadMessage, onOwned: () => void): Promise<Conclusion | undefined> {
    const { handler, stored } = message;
    const ref = handlingRef(message, 1);
    const redriven = await this.claimRedriven(handler.stores, ref, stored, handler.timeoutMs);
    if (redriven === undefined) return undefined;
    if (redriven !== null) {
      const { row, token } = redriven;
      onOwned();
      return this.isolation.beside(() => this.attempts.claimed(message, row.attempts, token));
    }
    this.hooks.run('duplicate', { eventId: ref.eventId, type: ref.type, consumer: ref.consumer });
    return this.outcomes.existing(handler.stores, ref);
  }

  /** Store a postponed message as a failed attempt, so that it is tried again. @returns undefined when the process is stopping */
  async keep({ consumer, stores }: QueueHandlers, message: PostponedMessage): Promise<Conclusion | undefined> {
    const { eventId, reason } = message;
    const { stored } = message.envelope;
    const policy = message.handler ?? this.options;
    const ref: HandlingRef = { eventId, type: stored.type, consumer, attempt: 1 };
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
