import { isDatabaseUnavailable } from '../database/postgres/database-errors';
import { backoffMs } from '../wait/backoff';
import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import type { HandlingRef } from '../event/hooks';
import type { InboxFailure, InboxKey, InboxMessage } from '../inbox/inbox.store';
import type { StoreSet } from '../database/stores';
import { concludeFailure, concludeRow, type Conclusion } from './conclusion';
import { createLog } from '../log/log';

/** Delays between tries of a statement that the database refuses: a person has to mend something (a table, a right). */
const REFUSED_BACKOFF = { initialMs: 200, maxMs: 10_000, jitter: 0.2 };

/**
 * Writes to the inbox how attempts ended, and tells the log and the hooks. Its statements wait for a database that is away and
 * go on when it is back; they end without a result only when the process is stopping.
 */
export class OutcomeWriter {
  private readonly logger = createLog();

  constructor(
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
    private readonly stop: AbortSignal,
  ) {}

  /**
   * Run a statement until it succeeds.
   * @param isOwed try it once even when the process is stopping
   * @returns undefined when the process is stopping
   */
  async persist<T>(set: StoreSet, statement: () => Promise<T>, isOwed = false): Promise<T | undefined> {
    for (let attempt = 1; !this.stop.aborted || (isOwed && attempt === 1); attempt += 1) {
      try {
        return await statement();
      } catch (error) {
        if (isDatabaseUnavailable(error)) await this.recovered(set, error);
        else await this.afterRefusal(set, attempt, error);
      }
    }
    return undefined;
  }

  /** @returns undefined when nothing is known to be wrong with the database; else a promise until it answers or the process is stopping */
  available(set: StoreSet): Promise<void> | undefined {
    return set.gate.isOpen ? undefined : this.unlessStopped(set.gate.open());
  }

  /** The database was found away: resolves when it answers again, or the process is stopping. */
  async recovered(set: StoreSet, error: unknown): Promise<void> {
    await this.unlessStopped(set.gate.recover(error));
  }

  /** The first failure of a message. @returns undefined when the process is stopping; `existing` when there is a row */
  async insertFailure(
    set: StoreSet,
    ref: HandlingRef,
    message: InboxMessage,
    failure: InboxFailure,
    waitMs: number,
  ): Promise<Conclusion | 'existing' | undefined> {
    const inserted = await this.persist(set, () => set.inbox.insertFailure(ref, message, failure, waitMs));
    if (inserted === undefined) return undefined;
    return inserted ? this.conclude(ref, failure) : 'existing';
  }

  /** @returns undefined when the process is stopping, or the claim was lost */
  async settleFailure(
    set: StoreSet,
    ref: HandlingRef,
    token: string,
    failure: InboxFailure,
  ): Promise<Conclusion | undefined> {
    const settled = await this.persist(set, () => set.inbox.settleFailed(ref, token, failure));
    if (settled === false) this.claimLost(ref);
    return settled ? this.conclude(ref, failure) : undefined;
  }

  /** Give a claim back as if it had never been. A process that is stopping tries once: if it fails, the lease must run out. */
  async giveBack(set: StoreSet, key: InboxKey, token: string): Promise<void> {
    const released = await this.persist(set, () => set.inbox.release(key, token), true);
    // Also after a release that changed nothing: an earlier one may have done it, and its answer was lost.
    if (released !== undefined) this.wakeups.wake('retry');
    else {
      const { eventId, consumer } = key;
      this.logger.warn('A claimed inbox row could not be given back; its lease must run out', { eventId, consumer });
    }
  }

  /** The message has a row already, and what the producer is told follows from it. */
  async existing(set: StoreSet, key: InboxKey): Promise<Conclusion | undefined> {
    const row = await this.persist(set, async () => (await set.inbox.find(key)) ?? null);
    return row === undefined ? undefined : concludeRow(row);
  }

  claimLost(ref: HandlingRef): void {
    this.logger.warn('An attempt found that its claim had been lost; the other claim stands', ref);
  }

  private conclude({ eventId, type, consumer, attempt }: HandlingRef, failure: InboxFailure): Conclusion {
    const { reason, next } = failure;
    const conclusion = concludeFailure(failure);
    const { outcome, retryAfterMs: retryInMs } = conclusion;
    const ref = { eventId, type, consumer, attempt };
    if ('end' in next) {
      this.logger.error('An event is given up by its consumer', { ...ref, outcome, reason });
    } else {
      this.logger.warn('A handler failed; the event is tried again', { ...ref, reason, retryInMs });
      this.wakeups.wake('retry', next.retryInMs);
    }
    this.hooks.run('handlingFailed', { ...ref, reason, retryInMs, outcome });
    return conclusion;
  }

  private async afterRefusal(set: StoreSet, attempt: number, error: unknown): Promise<void> {
    this.logger.error('A statement on the inbox failed; tried again', {
      dataSource: set.name,
      attempt,
      error: describeError(error),
    });
    let timer: NodeJS.Timeout | undefined;
    await this.unlessStopped(
      new Promise<void>((resolve) => (timer = setTimeout(resolve, backoffMs(REFUSED_BACKOFF, attempt)))),
    );
    clearTimeout(timer);
  }

  private async unlessStopped(work: Promise<void>): Promise<void> {
    if (this.stop.aborted) return;
    let onStop: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => (onStop = resolve));
    this.stop.addEventListener('abort', onStop, { once: true });
    await Promise.race([work, stopped]);
    this.stop.removeEventListener('abort', onStop);
  }
}
