import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import type { DatabaseGate } from '../database/database-gate';
import { describeError } from '../domain/errors';
import type { HandlingRef } from '../domain/hooks';
import type { HookRunner } from '../domain/hook-runner';
import type { ClaimedInboxRow, InboxKey, InboxMessage } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ReceiptSender } from '../receipt/receipt-sender';
import type { TransactionContext } from '../record/transaction-context';
import type { StoreSet } from '../stores/stores';
import { AttemptRunner } from './attempt-runner';
import { Attempts, type FirstEnd, handlingRef } from './attempts';
import { BatchRunner } from './batch-runner';
import { type Conclusion, failureAfter } from './conclusion';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import { Isolation } from './isolation';
import {
  fromInbox,
  type OpenedMessage,
  type Opening,
  openMessage,
  type PostponedMessage,
  type ReadMessage,
  type ReceiptAddress,
  type UnreadableMessage,
} from './message-reader';
import { OutcomeWriter } from './outcome-writer';
import { checkPayload, type Reading } from './payload-check';

/** @returns false when the process is stopping and the message is not put aside */
export type Park = (message: UnreadableMessage) => Promise<boolean>;

/** Starts that a redelivered message is assumed to have had, the present one included: its process may have died of it. */
const STARTS_WHEN_REDELIVERED = 2;

/**
 * Brings one message to a conclusion that is stored in the inbox.
 *
 *   fresh delivery      → one attempt with the inbox row as part of its transaction; a failure is stored, and retried from the inbox
 *                         (`shareCommits`: several messages may share that transaction)
 *   redelivered message → its process may have died of it: the attempt is stored before it starts (`adopt`), and before the payload
 *                         is validated; from then on the inbox owns the message and the broker is told so
 *   claimed inbox row   → the next attempt of a stored failure
 *
 * While the database is away everything waits, nothing is acknowledged, and no attempt is counted.
 */
export class Handling {
  readonly outcomes: OutcomeWriter;
  private readonly attempts: Attempts;
  private readonly logger = new Logger('ReliableMq');
  private readonly stopping = new AbortController();
  private readonly isolation = new Isolation();
  /** The context of no request and no other message: handlers must not inherit what happened to be current. */
  private readonly root = new AsyncResource('ReliableMqHandling');
  /** What is in progress, by message. */
  private readonly active = new Map<string, Promise<unknown>>();
  private readonly claimed = new Set<Promise<void>>();

  constructor(
    private readonly options: ResolvedOptions['consume'],
    transactions: TransactionContext,
    gateOf: (set: StoreSet) => DatabaseGate,
    private readonly receipts: ReceiptSender,
    private readonly hooks: HookRunner,
    onRetryIn: (delayMs: number) => void,
  ) {
    // Each attempt listens to it while it runs.
    setMaxListeners(0, this.stopping.signal);
    this.outcomes = new OutcomeWriter(gateOf, hooks, onRetryIn, this.stopping.signal);
    const { signal } = this.stopping;
    const runner = new AttemptRunner(transactions, hooks);
    const batches = new BatchRunner(transactions, hooks, this.outcomes, signal);
    this.attempts = new Attempts(runner, batches, this.outcomes, hooks, signal);
  }

  /** Cut off what is running: it is rolled back, and given back without having counted. */
  stop(): void {
    this.stopping.abort();
  }

  /** Resolves when no claimed row is being handled. */
  async idle(): Promise<void> {
    while (this.claimed.size > 0) await Promise.all(this.claimed);
  }

  /** Let nothing else of this process start while the work begins. */
  async alone(work: () => Promise<void>): Promise<void> {
    await this.isolation.alone(work);
  }

  /**
   * Handle a message at its first delivery.
   * @param onOwned called as soon as the inbox holds the message, so that the broker need not
   * @returns undefined when the process is stopping: the message must go back to the broker unless it was owned
   */
  handleDelivery(message: ReadMessage, onOwned: () => void): Promise<Conclusion | undefined> {
    return this.afterSame(message, () => this.concludeDelivery(message, onOwned));
  }

  /**
   * Handle a message that was delivered before.
   * @param park puts it aside if its payload turns out to be one that no handler can take; false: the process is stopping
   * @param onOwned as for `handleDelivery`
   * @returns undefined when the process is stopping: the message must go back to the broker unless it was owned
   */
  handleRedelivery(message: OpenedMessage, park: Park, onOwned: () => void): Promise<Conclusion | undefined> {
    return this.afterSame(message, () => this.concludeRedelivery(message, park, onOwned));
  }

  /**
   * Run the next attempt of a row that was claimed from the inbox, and tell its producer how it ended. Never rejects.
   * @param alone the caller has seen to it that nothing else starts
   */
  handleClaimed(row: ClaimedInboxRow, token: string, queue: QueueHandlers, alone: boolean): Promise<void> {
    const conclude = (): Promise<void> => this.concludeAndReport(row, token, queue);
    const work: Promise<void> = this.root
      .runInAsyncScope(() => this.track(idOf(row), alone ? conclude() : this.isolation.beside(conclude)))
      .catch((error: unknown) => {
        const { eventId, consumer } = row;
        this.logger.error('A claimed message could not be processed; its lease must run out', {
          eventId,
          consumer,
          error: describeError(error),
        });
      })
      .finally(() => this.claimed.delete(work));
    this.claimed.add(work);
    return work;
  }

  /** @returns undefined when the process is stopping */
  async read(opening: Opening): Promise<Reading | undefined> {
    return opening.kind === 'opened' ? checkPayload(opening, this.stopping.signal) : opening;
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

  /** Tell the producer. */
  report(address: ReceiptAddress | undefined, consumer: string, conclusion: Conclusion): void {
    if (!address) return;
    const { queue, ...receipt } = address;
    this.receipts.add(queue, { ...receipt, consumer, ...conclusion });
  }

  private async track<T>(id: string, work: Promise<T>): Promise<T> {
    this.active.set(id, work);
    try {
      return await work;
    } finally {
      if (this.active.get(id) === work) this.active.delete(id);
    }
  }

  /**
   * A lost connection to the broker delivers again what still runs here: without this each copy would wait in the database for the
   * first one, and take a connection from it.
   */
  private async afterSame<T>({ eventId, handler }: OpenedMessage | ReadMessage, work: () => Promise<T>): Promise<T> {
    const id = idOf({ eventId, consumer: handler.consumer });
    for (let same = this.active.get(id); same; same = this.active.get(id)) await same.catch(() => undefined);
    return this.track(id, work());
  }

  private async concludeDelivery(message: ReadMessage, onOwned: () => void): Promise<Conclusion | undefined> {
    const { stores } = message.handler;
    while (!this.stopping.signal.aborted) {
      const available = this.outcomes.available(stores);
      if (available) await available;
      const ended = await this.isolation.beside(() => this.firstAttempt(message));
      if (ended === 'existing')
        return this.concludeExisting(message, () => Promise.resolve({ kind: 'event', message }), onOwned);
      if (ended !== 'again') return ended;
    }
    return undefined;
  }

  private async concludeRedelivery(
    message: OpenedMessage,
    park: Park,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const available = this.outcomes.available(message.handler.stores);
    if (available) await available;
    const token = randomUUID();
    const ended = await this.isolation.beside(() => this.adoptAndAttempt(message, token, onOwned));
    if (ended === 'existing') return this.concludeExisting(message, () => this.read(message), onOwned);
    if (ended === undefined || 'outcome' in ended) return ended;
    // Its id may be another event's, which must find no row: put aside under an id of its own, then taken out again.
    const ref = handlingRef(message, 1);
    if (!(await park(ended))) {
      await this.outcomes.giveBack(message.handler.stores, ref, token);
      return undefined;
    }
    await this.outcomes.disown(message.handler.stores, ref, token);
    return { outcome: 'rejected', reason: ended.reason, retryAfterMs: null };
  }

  private firstAttempt(message: ReadMessage): Promise<FirstEnd> {
    return message.handler.shareCommits ? this.attempts.shared(message) : this.attempts.fresh(message);
  }

  /** @returns the message when no handler can take it: its row is still claimed */
  private async adoptAndAttempt(
    message: OpenedMessage,
    token: string,
    onOwned: () => void,
  ): Promise<Conclusion | UnreadableMessage | 'existing' | undefined> {
    const { handler, stored } = message;
    const { stores } = handler;
    const ref = handlingRef(message, 1);
    const claim = { token, leaseMs: handlingLeaseMs(handler.timeoutMs) };
    const adopted = await this.outcomes.persist(stores, () =>
      stores.inbox.adopt(ref, stored, claim, STARTS_WHEN_REDELIVERED),
    );
    if (adopted === undefined) return undefined;
    if (!adopted) return 'existing';
    onOwned();
    const reading = await this.read(message);
    return reading?.kind === 'unreadable' ? reading : this.concludeReading(reading, ref, token, stores);
  }

  /** What becomes of a claimed row by what its message turned out to be. */
  private async concludeReading(
    reading: Reading | undefined,
    ref: HandlingRef,
    token: string,
    set: StoreSet,
  ): Promise<Conclusion | undefined> {
    if (!reading) {
      await this.outcomes.giveBack(set, ref, token);
      return undefined;
    }
    if (reading.kind === 'event') return this.attempts.claimed(reading.message, ref.attempt, token);
    const policy = (reading.kind === 'postponed' && reading.handler) || this.options;
    return this.outcomes.settleFailure(set, ref, token, failureAfter('failed', reading.reason, ref.attempt, policy));
  }

  /** The inbox has a row for the message already; a dead one may have been sent again by hand. */
  private async concludeExisting(
    message: OpenedMessage | ReadMessage,
    read: () => Promise<Reading | undefined>,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const { handler, stored } = message;
    const ref = handlingRef(message, 1);
    const redriven = await this.claimRedriven(handler.stores, ref, stored, handler.timeoutMs);
    if (redriven === undefined) return undefined;
    if (redriven !== null) {
      const { row, token } = redriven;
      onOwned();
      return this.isolation.beside(async () =>
        this.concludeReading(await read(), handlingRef(message, row.attempts), token, handler.stores),
      );
    }
    this.hooks.run('duplicate', { eventId: ref.eventId, type: ref.type, consumer: ref.consumer });
    return this.outcomes.existing(handler.stores, ref);
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

  private async concludeAndReport(row: ClaimedInboxRow, token: string, queue: QueueHandlers): Promise<void> {
    const opening = openMessage(fromInbox(row, row.eventId), queue, Number.POSITIVE_INFINITY);
    const address = addressOf(opening);
    const conclusion = await this.concludeClaimed(row, token, queue, opening);
    // The row's number, not the message's: the row may have been redriven by a later copy of the message.
    if (conclusion) this.report(address && { ...address, redrives: row.redrives }, row.consumer, conclusion);
  }

  private async concludeClaimed(
    row: ClaimedInboxRow,
    token: string,
    queue: QueueHandlers,
    opening: Opening,
  ): Promise<Conclusion | undefined> {
    const { eventId, consumer, type, attempts } = row;
    const ref: HandlingRef = { eventId, type, consumer, attempt: attempts };
    const set = queue.stores;
    const unfinished = row.unfinishedStarts - 1;
    if (unfinished >= this.options.maxUnfinishedStarts) {
      const reason = `started ${unfinished} times and never finished; it may be killing its process`;
      return this.outcomes.settleFailure(set, ref, token, { reason, next: { end: 'dead' } });
    }
    return this.concludeReading(await this.read(opening), ref, token, set);
  }
}

function idOf({ eventId, consumer }: InboxKey): string {
  return `${consumer} ${eventId}`;
}

export function addressOf(opening: Opening): ReceiptAddress | undefined {
  return opening.kind === 'opened' ? opening.receiptAddress : opening.envelope.receiptAddress;
}
