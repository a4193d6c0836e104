import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Logger } from '@nestjs/common';
import type { DatabaseGate } from '../database/database-gate';
import { isDatabaseUnavailable } from '../database/database-errors';
import { backoffMs, type Backoff } from '../domain/backoff';
import { describeError } from '../domain/errors';
import type { HookRunner } from '../domain/hook-runner';
import type { ConsumerOutcome } from '../domain/outcome';
import type { ClaimedInboxRow, InboxFailure, InboxKey } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ReceiptSender } from '../receipt/receipt-sender';
import type { StoreSet } from '../stores/stores';
import type { AttemptRunner } from './attempt-runner';
import { handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import {
  type Envelope,
  fromInbox,
  readMessage,
  type Reading,
  type ReadMessage,
  type ReceiptAddress,
} from './message-reader';

/** Where an event stands for one consumer, as its producer is told. */
export interface Conclusion {
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  readonly retryAfterMs: number | null;
}

const HANDLED: Conclusion = { outcome: 'handled', reason: null, retryAfterMs: null };

interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/**
 * Brings one message to a conclusion that is stored in the inbox.
 *
 *   fresh delivery      → one attempt with the inbox row as part of its transaction; a failure is stored, and retried from the inbox
 *   redelivered message → its process may have died of it: the attempt is stored before it starts (`adopt`), from then on the
 *                         inbox owns the message and the broker is told so
 *   claimed inbox row   → the next attempt of a stored failure
 *
 * Statements of this class wait for a database that is away and go on when it is back; nothing is acknowledged meanwhile.
 */
export class Handling {
  private readonly logger = new Logger('ReliableMq');
  private readonly stopping = new AbortController();

  constructor(
    private readonly options: ResolvedOptions['consume'],
    private readonly runner: AttemptRunner,
    private readonly gateOf: (set: StoreSet) => DatabaseGate,
    private readonly receipts: ReceiptSender,
    private readonly hooks: HookRunner,
    /** Called when a stored failure becomes due after so many milliseconds. */
    private readonly onRetryIn: (delayMs: number) => void,
  ) {
    // Every attempt that runs listens to it, so there is no number from which on it would be a leak.
    setMaxListeners(0, this.stopping.signal);
  }

  /** Cut off what is running: it is rolled back, and given back without having counted. */
  stop(): void {
    this.stopping.abort();
  }

  /**
   * @param onOwned called as soon as the inbox holds the message, so that the broker need not
   * @returns undefined when the process is stopping: the message must go back to the broker unless it was owned
   */
  async handleDelivery(
    message: ReadMessage,
    redelivered: boolean,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const { handler, eventId, stored } = message;
    const { inbox } = handler.stores;
    const key: InboxKey = { eventId, consumer: handler.consumer };
    while (!this.stopping.signal.aborted) {
      await this.gateOf(handler.stores).open();
      if (redelivered) {
        const token = randomUUID();
        const claim = { token, leaseMs: handlingLeaseMs(handler.timeoutMs) };
        const adopted = await this.persist(handler.stores, () => inbox.adopt(key, stored, claim, 2));
        if (adopted === undefined) return undefined;
        if (!adopted) return this.concludeExisting(message, key, onOwned);
        onOwned();
        return this.attemptClaimed(message, key, 1, token);
      }
      const result = await this.runner.run(
        message,
        1,
        (manager) => inbox.insertHandled(manager, key, stored),
        this.stopping.signal,
      );
      switch (result.kind) {
        case 'handled':
          this.hooks.run('handled', { ...this.handlingRef(message, 1), durationMs: result.durationMs });
          return HANDLED;
        case 'taken':
          return this.concludeExisting(message, key, onOwned);
        case 'failed':
        case 'rejected': {
          const failure = this.failureAfter(result.reason, result.kind === 'rejected', 1, handler);
          const inserted = await this.persist(handler.stores, () => inbox.insertFailure(key, stored, failure));
          if (inserted === undefined) return undefined;
          return inserted ? this.concludeFailure(message, 1, failure) : this.concludeExisting(message, key, onOwned);
        }
        case 'unavailable':
          await this.gateOf(handler.stores).recover(result.error);
          break;
        case 'stopped':
          return undefined;
      }
    }
    return undefined;
  }

  /** Run the next attempt of a row that was claimed from the inbox, and tell its producer how it ended. */
  async handleClaimed(row: ClaimedInboxRow, token: string, queue: QueueHandlers): Promise<void> {
    const reading = await readMessage(fromInbox(row, row.eventId), queue, Number.POSITIVE_INFINITY);
    const address = reading.kind === 'event' ? reading.message.receiptAddress : reading.envelope.receiptAddress;
    const conclusion = await this.concludeClaimed(row, token, queue, reading);
    if (conclusion) this.report(address, row.consumer, conclusion);
  }

  private async concludeClaimed(
    row: ClaimedInboxRow,
    token: string,
    queue: QueueHandlers,
    reading: Reading,
  ): Promise<Conclusion | undefined> {
    const key: InboxKey = { eventId: row.eventId, consumer: row.consumer };
    const [anyHandler] = queue.byVersion.values();
    const set = reading.kind === 'event' ? reading.message.handler.stores : anyHandler?.stores;
    if (!set) return undefined;
    const unfinished = row.unfinishedStarts - 1;
    if (unfinished >= this.options.maxUnfinishedStarts) {
      const reason = `started ${unfinished} times and never finished; it may be killing its process`;
      return this.storeFailure(set, key, token, row, { reason, next: { end: 'dead' } });
    }
    if (reading.kind !== 'event') {
      const policy = { maxAttempts: this.options.maxAttempts, backoff: this.options.backoff };
      return this.storeFailure(set, key, token, row, this.failureAfter(reading.reason, false, row.attempts, policy));
    }
    return this.attemptClaimed(reading.message, key, row.attempts, token);
  }

  /** A readable message whose version nobody here handles: kept, and tried again, for the next release may handle it. */
  async keepUnknownVersion(
    set: StoreSet,
    consumer: string,
    eventId: string,
    reason: string,
    envelope: Envelope,
  ): Promise<Conclusion | undefined> {
    const key: InboxKey = { eventId, consumer };
    const policy = { maxAttempts: this.options.maxAttempts, backoff: this.options.backoff };
    const failure = this.failureAfter(reason, false, 1, policy);
    const inserted = await this.persist(set, () => set.inbox.insertFailure(key, envelope.stored, failure));
    if (inserted === undefined) return undefined;
    if (!inserted) return this.existing(set, key);
    return this.conclude({ eventId, type: envelope.stored.type, consumer, attempt: 1 }, failure);
  }

  /** Run a statement until it succeeds; waits while the database is away. @returns undefined when the process is stopping */
  async persist<T>(set: StoreSet, statement: () => Promise<T>): Promise<T | undefined> {
    for (let attempt = 1; !this.stopping.signal.aborted; attempt += 1) {
      try {
        return await statement();
      } catch (error) {
        if (!isDatabaseUnavailable(error)) {
          this.logger.error('A statement on the inbox failed; tried again', {
            dataSource: set.name,
            attempt,
            error: describeError(error),
          });
        }
        await this.gateOf(set).recover(error);
      }
    }
    return undefined;
  }

  /** Tell the producer. */
  report(address: ReceiptAddress | undefined, consumer: string, conclusion: Conclusion): void {
    if (!address) return;
    const { queue, source, eventId } = address;
    this.receipts.add(queue, { eventId, source, consumer, ...conclusion });
  }

  private async attemptClaimed(
    message: ReadMessage,
    key: InboxKey,
    attempt: number,
    token: string,
  ): Promise<Conclusion | undefined> {
    const { handler } = message;
    const { inbox } = handler.stores;
    const result = await this.runner.run(
      message,
      attempt,
      (manager) => inbox.settleHandled(manager, key, token),
      this.stopping.signal,
    );
    switch (result.kind) {
      case 'handled':
        this.hooks.run('handled', { ...this.handlingRef(message, attempt), durationMs: result.durationMs });
        return HANDLED;
      case 'taken':
        this.logger.warn('An attempt found that its claim had been lost; the other claim stands', { ...key, attempt });
        return undefined;
      case 'failed':
      case 'rejected': {
        const failure = this.failureAfter(result.reason, result.kind === 'rejected', attempt, handler);
        return this.storeFailure(handler.stores, key, token, { type: message.stored.type, attempts: attempt }, failure);
      }
      case 'unavailable':
        await this.gateOf(handler.stores).recover(result.error);
        await this.giveBack(handler.stores, key, token);
        return undefined;
      case 'stopped':
        await this.giveBack(handler.stores, key, token);
        return undefined;
    }
  }

  /** Once only: if it fails the lease runs out, which costs an attempt. */
  private async giveBack(set: StoreSet, key: InboxKey, token: string): Promise<void> {
    try {
      if (await set.inbox.release(key, token)) this.onRetryIn(0);
    } catch (error) {
      this.logger.warn('A claimed inbox row could not be given back; its lease must run out', {
        ...key,
        error: describeError(error),
      });
    }
  }

  private async storeFailure(
    set: StoreSet,
    key: InboxKey,
    token: string,
    row: { readonly type: string; readonly attempts: number },
    failure: InboxFailure,
  ): Promise<Conclusion | undefined> {
    const stored = await this.persist(set, () => set.inbox.settleFailed(key, token, failure));
    if (!stored) return undefined;
    return this.conclude({ ...key, type: row.type, attempt: row.attempts }, failure);
  }

  private concludeFailure(message: ReadMessage, attempt: number, failure: InboxFailure): Conclusion {
    return this.conclude(this.handlingRef(message, attempt), failure);
  }

  private conclude(
    ref: { readonly eventId: string; readonly type: string; readonly consumer: string; readonly attempt: number },
    failure: InboxFailure,
  ): Conclusion {
    const { reason, next } = failure;
    if ('end' in next) {
      this.logger.error('An event is given up by its consumer', { ...ref, outcome: next.end, reason });
      this.hooks.run('handlingFailed', { ...ref, reason, retryInMs: null, outcome: next.end });
      return { outcome: next.end, reason, retryAfterMs: null };
    }
    this.logger.warn('A handler failed; the event is tried again', { ...ref, reason, retryInMs: next.retryInMs });
    this.hooks.run('handlingFailed', { ...ref, reason, retryInMs: next.retryInMs, outcome: 'retrying' });
    this.onRetryIn(next.retryInMs);
    return { outcome: 'retrying', reason, retryAfterMs: next.retryInMs };
  }

  /** The inbox has a row for the message already: what the producer is told follows from it. */
  private async concludeExisting(
    message: ReadMessage,
    key: InboxKey,
    onOwned: () => void,
  ): Promise<Conclusion | undefined> {
    const { handler, stored } = message;
    if (stored.redrives > 0) {
      const claim = { token: randomUUID(), leaseMs: handlingLeaseMs(handler.timeoutMs) };
      const row = await this.persist(
        handler.stores,
        async () => (await handler.stores.inbox.claimRedriven(key, stored.redrives, claim)) ?? null,
      );
      if (row === undefined) return undefined;
      if (row !== null) {
        onOwned();
        return this.attemptClaimed(message, key, row.attempts, claim.token);
      }
    }
    this.hooks.run('duplicate', { eventId: key.eventId, type: message.stored.type, consumer: key.consumer });
    return this.existing(handler.stores, key);
  }

  private async existing(set: StoreSet, key: InboxKey): Promise<Conclusion | undefined> {
    const row = await this.persist(set, async () => (await set.inbox.find(key)) ?? null);
    if (row === undefined) return undefined;
    // Pruned in this very moment: it had ended long ago, and a chase will ask again if the producer still cares.
    if (row === null || row.status === 'handled') return HANDLED;
    if (row.status === 'failed')
      return { outcome: 'retrying', reason: row.reason, retryAfterMs: Math.max(0, row.dueInMs ?? 0) };
    return { outcome: row.status, reason: row.reason, retryAfterMs: null };
  }

  private failureAfter(reason: string, rejected: boolean, attempt: number, policy: RetryPolicy): InboxFailure {
    if (rejected) return { reason, next: { end: 'rejected' } };
    if (attempt >= policy.maxAttempts)
      return { reason: `given up after ${attempt} attempts: ${reason}`, next: { end: 'dead' } };
    return { reason, next: { retryInMs: backoffMs(policy.backoff, attempt) } };
  }

  private handlingRef(message: ReadMessage, attempt: number) {
    return { eventId: message.eventId, type: message.stored.type, consumer: message.handler.consumer, attempt };
  }
}
