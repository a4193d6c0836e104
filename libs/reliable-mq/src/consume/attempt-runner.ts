import type { EntityManager, QueryRunner } from 'typeorm';
import { isDatabaseUnavailable } from '../database/database-errors';
import { acquireQueryRunner, DatabaseDeadlineError, destroyConnection, within } from '../database/deadline';
import { queryAlone } from '../database/sql';
import { describeError, HandlerTimeoutError, RejectEvent } from '../domain/errors';
import type { HookRunner } from '../domain/hook-runner';
import type { TransactionContext } from '../record/transaction-context';
import type { EventContext } from './event-context';
import { COMMIT_DEADLINE_MS } from './handler';
import type { ReadMessage } from './message-reader';

/**
 * How one attempt ended.
 * - `handled`: committed
 * - `taken`: the inbox row could not be claimed: another delivery or instance has it; nothing was run
 * - `failed`, `rejected`: the handler said so; rolled back
 * - `unavailable`: the database could not be asked, and it is not known whether the commit happened: the inbox knows, later
 * - `stopped`: cut off because the process must stop; rolled back
 */
export type AttemptResult =
  | { readonly kind: 'handled'; readonly durationMs: number }
  | { readonly kind: 'taken' | 'stopped' }
  | { readonly kind: 'failed' | 'rejected'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly error: unknown };

class RowTaken extends Error {}

interface Progress {
  phase: 'claiming' | 'handling' | 'committing';
}

/** Runs handlers, each in one transaction with its inbox row, and makes sure that each run ends. */
export class AttemptRunner {
  constructor(
    private readonly transactions: TransactionContext,
    private readonly hooks: HookRunner,
  ) {}

  /**
   * @param claim writes the inbox row's outcome in the handler's transaction before the handler runs; false: roll back
   * @param stop aborted when the process can't wait any longer
   */
  async run(
    message: ReadMessage,
    attempt: number,
    claim: (manager: EntityManager) => Promise<boolean>,
    stop: AbortSignal,
  ): Promise<AttemptResult> {
    const { handler, eventId } = message;
    const { consumer, eventType, timeoutMs } = handler;
    const handling = { eventId, type: eventType.type, consumer, attempt };
    const startedAt = performance.now();
    let queryRunner: QueryRunner;
    try {
      queryRunner = await acquireQueryRunner(handler.stores.dataSource, timeoutMs);
    } catch (error) {
      return { kind: 'unavailable', error };
    }

    const progress: Progress = { phase: 'claiming' };
    const cut = new AbortController();
    const context: EventContext = {
      eventId,
      type: eventType.type,
      version: eventType.version,
      consumer,
      attempt,
      producer: message.producer,
      headers: message.headers,
      manager: queryRunner.manager,
      signal: cut.signal,
    };
    const work = this.transactions.runNew(queryRunner, undefined, async () => {
      if (!(await claim(queryRunner.manager))) throw new RowTaken();
      progress.phase = 'handling';
      this.hooks.run('handling', handling);
      await this.transactions.inside(handler.stores.dataSource, queryRunner, true, () =>
        handler.invoke(message.event, context),
      );
      cut.signal.throwIfAborted();
      this.hooks.run('handlerReturned', handling);
      progress.phase = 'committing';
    });

    try {
      await this.untilOver(work, timeoutMs, progress, stop, consumer, eventId);
      return { kind: 'handled', durationMs: performance.now() - startedAt };
    } catch (error) {
      if (error instanceof RowTaken) return { kind: 'taken' };
      if (error instanceof Stopped || error instanceof HandlerTimeoutError || error instanceof DatabaseDeadlineError) {
        cut.abort(error);
        await this.cutOff(queryRunner, handler.stores.dataSource, error);
        if (error instanceof Stopped) return { kind: 'stopped' };
        if (error instanceof DatabaseDeadlineError) return { kind: 'unavailable', error };
        return { kind: 'failed', reason: describeError(error) };
      }
      if (error instanceof RejectEvent) return { kind: 'rejected', reason: error.reason };
      if (progress.phase !== 'handling' && isDatabaseUnavailable(error)) return { kind: 'unavailable', error };
      return { kind: 'failed', reason: describeError(error) };
    }
  }

  /** The handler's time, then the commit's own, which must not be cut with the handler's: it may have happened. */
  private async untilOver(
    work: Promise<void>,
    timeoutMs: number,
    progress: Progress,
    stop: AbortSignal,
    consumer: string,
    eventId: string,
  ): Promise<void> {
    const stopped = stopPromise(stop);
    try {
      await within(timeoutMs, Promise.race([work, stopped.promise]), () =>
        progress.phase === 'handling'
          ? new HandlerTimeoutError(consumer, eventId, timeoutMs)
          : new DatabaseDeadlineError(`the database did not answer within ${timeoutMs} ms`),
      );
    } catch (error) {
      const committing =
        progress.phase === 'committing' && (error instanceof DatabaseDeadlineError || error instanceof Stopped);
      if (!committing) throw error;
      await within(
        COMMIT_DEADLINE_MS,
        work,
        () => new DatabaseDeadlineError(`the commit was not answered within ${COMMIT_DEADLINE_MS} ms`),
      );
    } finally {
      stopped.dispose();
    }
  }

  /** Take the connection away from a handler that does not end, here and at the server, where it may wait for a lock. */
  private async cutOff(
    queryRunner: QueryRunner,
    dataSource: ReadMessage['handler']['stores']['dataSource'],
    reason: Error,
  ): Promise<void> {
    const serverProcess = await destroyConnection(queryRunner, reason).catch(() => undefined);
    if (serverProcess === undefined) return;
    await queryAlone(dataSource, 'SELECT pg_terminate_backend($1)', [serverProcess], 5000).catch(() => undefined);
  }
}

class Stopped extends Error {
  override readonly name = 'Stopped';
}

function stopPromise(stop: AbortSignal): { readonly promise: Promise<never>; dispose(): void } {
  let onAbort: () => void = () => undefined;
  const promise = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Stopped('the process is stopping'));
    if (stop.aborted) onAbort();
    else stop.addEventListener('abort', onAbort, { once: true });
  });
  promise.catch(() => undefined);
  return { promise, dispose: () => stop.removeEventListener('abort', onAbort) };
}
