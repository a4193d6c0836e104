import { AsyncResource } from 'node:async_hooks';
import type { QueryRunner } from 'typeorm';
import { callersWaitingFor } from '../database/postgres/connection-pool';
import { isDatabaseUnavailable, isTransient, sqlState } from '../database/postgres/database-errors';
import { acquireQueryRunner } from '../database/postgres/deadline';
import { DatabaseDeadlineError } from '../database/port';
import { limitIdleTime } from '../database/postgres/idle-limit';
import { failureInSavepoint, isInSavepoint, undoSavepoint } from '../database/postgres/savepoint';
import { describeError, HandlerTimeoutError, TransactionAbortedError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { SharedClaim } from '../inbox/inbox.store';
import type { TransactionContext } from '../transaction/transaction-context';
import { type AttemptContext, createAttemptContext } from './attempt-context';
import { type AttemptFailure, toFailure } from './attempt-result';
import { AttemptWatchdog } from './attempt-watchdog';
import { ALONE, BATCH_WORK_MS, type BatchOutcome, type BatchResult } from './batch-result';
import { cutConnection, isCutOff } from './cut-off';
import { COMMIT_DEADLINE_MS, type Handler, handlingLeaseMs } from './handler';
import type { ReadMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';
import { createLog } from '../log/log';

type Handled = { readonly kind: 'handled'; readonly startedAt: number };

/** What is known of a batch while it runs. */
interface Batch {
  readonly handler: Handler;
  readonly queryRunner: QueryRunner;
  readonly watchdog: AttemptWatchdog;
  readonly ends: Map<ReadMessage, Handled | AttemptFailure | { readonly kind: 'taken' }>;
  claim?: SharedClaim;
  current?: { readonly message: ReadMessage; readonly attempt: AttemptContext };
}

/**
 * Runs first attempts of several messages of one handler in one transaction: all inbox rows, then message by message, each in
 * a savepoint, then one COMMIT. A handler that fails harms nobody: its savepoint is rolled back and its inbox row withdrawn.
 * Whatever spoils the transaction as a whole rolls all of it back, and everything that is not known to be concluded runs
 * `alone`, where nobody's failure can be another's.
 */
export class BatchRunner {
  private readonly logger = createLog();

  constructor(
    private readonly transactions: TransactionContext,
    private readonly hooks: HookRunner,
    private readonly outcomes: OutcomeWriter,
    private readonly stop: AbortSignal,
  ) {}

  /**
   * Never rejects.
   * @param onWorked called when the last handler has ended and the COMMIT is about to be sent
   */
  async run(handler: Handler, messages: readonly ReadMessage[], onWorked: () => void): Promise<BatchOutcome> {
    let queryRunner: QueryRunner;
    try {
      queryRunner = await acquireQueryRunner(handler.stores.dataSource, handler.timeoutMs, this.stop);
    } catch {
      return { results: messages.map(() => ALONE), isLost: true };
    }
    const watchdog = new AttemptWatchdog(this.stop);
    const batch: Batch = { handler, queryRunner, watchdog, ends: new Map() };
    try {
      await Promise.race([this.transact(batch, messages, onWorked), watchdog.expired]);
      const committedAt = performance.now();
      return { results: messages.map((message) => resultOf(batch, message, committedAt)), isLost: false };
    } catch (error) {
      return await this.afterLoss(batch, messages, error);
    } finally {
      watchdog.dispose();
    }
  }

  private async transact(batch: Batch, messages: readonly ReadMessage[], onWorked: () => void): Promise<void> {
    const { handler, queryRunner, watchdog, ends } = batch;
    const { inbox } = handler.stores;
    const enter = (phaseMs: number, phase: string): void =>
      watchdog.enter(phaseMs, () => new DatabaseDeadlineError(`the ${phase} was not answered`));
    enter(handler.timeoutMs, 'beginning of the transaction');
    await this.transactions.runNew(queryRunner, undefined, async () => {
      // A concurrent duplicate makes the claim wait until its own attempt has ended, which may take as long as a lease.
      enter(handlingLeaseMs(handler.timeoutMs), 'claim of the inbox rows');
      await limitIdleTime(queryRunner.manager, handlingLeaseMs(handler.timeoutMs));
      batch.claim = await inbox.insertHandledAll(
        queryRunner.manager,
        { consumer: handler.consumer, type: handler.eventType.type },
        messages,
      );
      const startedAt = performance.now();
      for (const message of messages) {
        if (!batch.claim.eventIds.has(message.eventId)) ends.set(message, { kind: 'taken' });
        else if (performance.now() - startedAt < BATCH_WORK_MS) {
          // Each in a context of its own: what a handler leaves in an AsyncLocalStorage must not reach its neighbour.
          const context = new AsyncResource('ReliableMqHandling');
          ends.set(message, await context.runInAsyncScope(() => this.handle(batch, message)));
        }
      }
      batch.current = undefined;
      enter(COMMIT_DEADLINE_MS, 'end of the transaction');
      const unhandled = unhandledOf(batch, messages);
      if (unhandled.length > 0) await inbox.withdraw(queryRunner.manager, batch.claim, unhandled);
      watchdog.enterLast(
        COMMIT_DEADLINE_MS,
        () => new DatabaseDeadlineError('the end of the transaction was not answered'),
      );
      onWorked();
    });
  }

  /** Run one message's handler in its savepoint. Throws what spoils the whole batch. */
  private async handle(batch: Batch, message: ReadMessage): Promise<Handled | AttemptFailure> {
    const { handler, queryRunner, watchdog } = batch;
    const { consumer, timeoutMs, stores, eventType } = handler;
    const { eventId, event } = message;
    const attempt = createAttemptContext(message, 1, queryRunner.manager);
    batch.current = { message, attempt };
    watchdog.enter(
      timeoutMs,
      () => new HandlerTimeoutError(consumer, eventId, timeoutMs, callersWaitingFor(stores.dataSource)),
    );
    await queryRunner.startTransaction();
    const startedAt = performance.now();
    const ref = { eventId, type: eventType.type, consumer, attempt: 1 };
    this.hooks.run('handling', ref);
    let failure: { readonly error: unknown } | undefined;
    try {
      await this.transactions.inside(stores.dataSource, queryRunner, true, () =>
        handler.invoke(event, attempt.context),
      );
    } catch (error) {
      failure = { error };
    }
    watchdog.throwIfExpired();
    if (failure && spoilsTransaction(failure.error)) throw failure.error;
    // An event that it recorded and did not await must not fail in the savepoint of whoever comes next.
    failure ??= await this.transactions.failureOfRecordings(queryRunner);
    const inDatabase = await failureInSavepoint(queryRunner);
    failure ??= inDatabase;
    if (!failure) {
      this.hooks.run('handlerReturned', ref);
      failure = await this.release(queryRunner);
    }
    if (!failure) return { kind: 'handled', startedAt };
    if (spoilsTransaction(failure.error)) throw failure.error;
    watchdog.enter(COMMIT_DEADLINE_MS, () => new DatabaseDeadlineError('a rollback was not answered'));
    await undoSavepoint(queryRunner);
    return toFailure(failure.error);
  }

  /** @returns why the savepoint could not be released */
  private async release(queryRunner: QueryRunner): Promise<{ readonly error: unknown } | undefined> {
    try {
      await queryRunner.commitTransaction();
      return undefined;
    } catch (error) {
      if (isInSavepoint(queryRunner)) return { error };
      // Released all the same: it can't be undone by itself any more.
      throw error;
    }
  }

  private async afterLoss(batch: Batch, messages: readonly ReadMessage[], error: unknown): Promise<BatchOutcome> {
    const { handler, queryRunner, claim, current } = batch;
    let culprit: ReadMessage | undefined;
    if (isCutOff(error)) {
      current?.attempt.cutOff(error);
      const away = await cutConnection(queryRunner, error);
      if (error instanceof HandlerTimeoutError && away === undefined) culprit = current?.message;
    }
    // Not even begun, then: it found the transaction as the one before had left it.
    if (isConsequence(error)) batch.current = undefined;
    const unhandled = unhandledOf(batch, messages);
    if (claim && unhandled.length > 0)
      await this.outcomes.persist(
        handler.stores,
        () => handler.stores.inbox.withdrawCommitted(claim, unhandled),
        // A row that stays says that its message was handled.
        true,
      );
    const { consumer, eventType } = handler;
    this.logger.warn('A commit shared between messages failed; each of them is handled by itself', {
      consumer,
      type: eventType.type,
      count: messages.length,
      error: describeError(error),
    });
    return {
      results: messages.map((message) => (message === culprit ? toFailure(error) : ALONE)),
      isLost: true,
    };
  }
}

function resultOf({ ends }: Batch, message: ReadMessage, committedAt: number): BatchResult {
  const end = ends.get(message) ?? ALONE;
  return end.kind === 'handled' ? { kind: 'handled', durationMs: committedAt - end.startedAt } : end;
}

/** Claimed messages whose effects are not part of the transaction; for the one in hand that is not known. */
function unhandledOf({ claim, ends, current }: Batch, messages: readonly ReadMessage[]): readonly string[] {
  return messages
    .filter((message) => claim?.eventIds.has(message.eventId))
    .filter((message) => message !== current?.message && ends.get(message)?.kind !== 'handled')
    .map(({ eventId }) => eventId);
}

/** Whether a handler's error says nothing about its message, but that the transaction it shares can't be gone on with. */
function spoilsTransaction(error: unknown): boolean {
  return isDatabaseUnavailable(error) || isTransient(error) || isConsequence(error);
}

/** Whether a statement came to nothing because of an earlier one: in_failed_sql_transaction, no such savepoint. */
function isConsequence(error: unknown): boolean {
  const cause = error instanceof TransactionAbortedError ? error.cause : error;
  return ['25P02', '3B001'].includes(sqlState(cause) ?? '');
}
