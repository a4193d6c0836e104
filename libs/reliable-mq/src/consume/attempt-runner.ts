import type { EntityManager, QueryRunner } from 'typeorm';
import { callersWaitingFor } from '../database/postgres/connection-pool';
import { isDatabaseUnavailable } from '../database/postgres/database-errors';
import { acquireQueryRunner, hasLostTransaction } from '../database/postgres/deadline';
import { DatabaseDeadlineError } from '../database/port';
import { limitIdleTime } from '../database/postgres/idle-limit';
import { describeError, HandlerTimeoutError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { TransactionContext } from '../transaction/transaction-context';
import { createAttemptContext } from './attempt-context';
import { type AttemptResult, toFailure } from './attempt-result';
import { AttemptWatchdog, Stopped } from './attempt-watchdog';
import { cutConnection, isCutOff, whyAway } from './cut-off';
import type { EventContext } from './event-context';
import { COMMIT_DEADLINE_MS, handlingLeaseMs } from './handler';
import type { ReadMessage } from './message-reader';

/** Writes the inbox row's outcome in the handler's transaction, before the handler runs. False: roll back. */
export type ClaimRow = (manager: EntityManager) => Promise<boolean>;

class RowTaken extends Error {}

/** What is known of an attempt while it runs. */
interface Progress {
  phase: 'claiming' | 'handling' | 'ending';
  startedAt: number;
  /** Why it is being rolled back. */
  failure?: { readonly error: unknown };
}

/** Runs handlers, each in one transaction with its inbox row, and makes sure that each run ends. */
export class AttemptRunner {
  constructor(
    private readonly transactions: TransactionContext,
    private readonly hooks: HookRunner,
  ) {}

  /** @param stop aborted when the process can't wait any longer */
  async run(message: ReadMessage, attempt: number, claim: ClaimRow, stop: AbortSignal): Promise<AttemptResult> {
    const { handler } = message;
    if (stop.aborted) return { kind: 'stopped' };
    let queryRunner: QueryRunner;
    try {
      queryRunner = await acquireQueryRunner(handler.stores.dataSource, handler.timeoutMs, stop);
    } catch (error) {
      return stop.aborted ? { kind: 'stopped' } : { kind: 'unavailable', error, started: false };
    }
    const watchdog = new AttemptWatchdog(stop);
    const progress: Progress = { phase: 'claiming', startedAt: performance.now() };
    const { context, cutOff } = createAttemptContext(message, attempt, queryRunner.manager);
    try {
      const work = this.transact(message, context, queryRunner, claim, watchdog, progress);
      await Promise.race([work, watchdog.expired]);
      return { kind: 'handled', durationMs: performance.now() - progress.startedAt };
    } catch (error) {
      if (error instanceof RowTaken) return { kind: 'taken' };
      if (!isCutOff(error)) return await this.afterFailure(message, queryRunner, progress, error);
      cutOff(error);
      return this.afterCutOff(progress, error, await cutConnection(queryRunner, error));
    } finally {
      watchdog.dispose();
    }
  }

  private async transact(
    message: ReadMessage,
    context: EventContext,
    queryRunner: QueryRunner,
    claim: ClaimRow,
    watchdog: AttemptWatchdog,
    progress: Progress,
  ): Promise<void> {
    const { handler, event } = message;
    const { eventId, type, consumer, attempt } = context;
    const ref = { eventId, type, consumer, attempt };
    watchdog.enter(
      handler.timeoutMs,
      () => new DatabaseDeadlineError('the beginning of the transaction was not answered'),
    );
    await this.transactions.runNew(queryRunner, undefined, async () => {
      // A concurrent duplicate makes the claim wait until its own attempt has ended, which may take as long as a lease.
      watchdog.enter(
        handlingLeaseMs(handler.timeoutMs),
        () => new DatabaseDeadlineError('the claim of the inbox row was not answered'),
      );
      await limitIdleTime(queryRunner.manager, handlingLeaseMs(handler.timeoutMs));
      if (!(await claim(queryRunner.manager))) throw new RowTaken();
      watchdog.enter(handler.timeoutMs, () => {
        const waiting = callersWaitingFor(handler.stores.dataSource);
        return new HandlerTimeoutError(consumer, eventId, handler.timeoutMs, waiting);
      });
      progress.phase = 'handling';
      progress.startedAt = performance.now();
      this.hooks.run('handling', ref);
      const tooLong = (): Error => new DatabaseDeadlineError('the end of the transaction was not answered');
      try {
        await this.transactions.inside(handler.stores.dataSource, queryRunner, true, () =>
          handler.invoke(event, context),
        );
        // The COMMIT would look fine, and commit nothing.
        if (await hasLostTransaction(queryRunner))
          throw new Error("it ended the library's transaction by SQL of its own");
      } catch (error) {
        watchdog.enter(COMMIT_DEADLINE_MS, tooLong);
        progress.failure = { error };
        throw error;
      }
      // A handler that returns after it was cut off finds its transaction gone.
      watchdog.throwIfExpired();
      this.hooks.run('handlerReturned', ref);
      watchdog.enterLast(COMMIT_DEADLINE_MS, tooLong);
      progress.phase = 'ending';
    });
  }

  /**
   * The transaction has failed by itself. When it could not even be rolled back its connection is gone, and whatever the
   * handler threw may be a consequence: if the database is away the attempt says nothing about the message.
   */
  private async afterFailure(
    { handler }: ReadMessage,
    queryRunner: QueryRunner,
    { phase, failure }: Progress,
    error: unknown,
  ): Promise<AttemptResult> {
    const connectionLost = queryRunner.isTransactionActive;
    const started = phase !== 'claiming';
    if (!started && isDatabaseUnavailable(error)) return { kind: 'unavailable', error, started };
    if (!connectionLost) return toFailure(error);
    const away = await whyAway(handler.stores.dataSource);
    if (away !== undefined) return { kind: 'unavailable', error: away, started };
    // The handler has done its part; whether that was committed, its inbox row says.
    if (phase === 'ending' && !failure) return { kind: 'unavailable', error, started, isBack: true };
    return { kind: 'failed', reason: `its database connection was lost: ${describeError(error)}` };
  }

  /** @param away why the database could not end the attempt, when it could not */
  private afterCutOff({ phase, failure }: Progress, reason: Error, away: unknown): AttemptResult {
    if (reason instanceof Stopped) return { kind: 'stopped' };
    const started = phase !== 'claiming';
    if (away !== undefined) return { kind: 'unavailable', error: away, started };
    if (reason instanceof DatabaseDeadlineError && !failure) return { kind: 'unavailable', error: reason, started };
    return toFailure(failure ? failure.error : reason);
  }
}
