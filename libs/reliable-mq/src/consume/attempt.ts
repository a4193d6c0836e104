import type { EntityManager, QueryRunner } from 'typeorm';
import { DatabaseDeadlineError, type DatabaseFailure, type DatabasePort } from '../database/port';
import { type Cause, causationIdOf, causeOf, correlationIdOf } from '../event/cause';
import { causesOf, describeError, HandlerTimeoutError } from '../event/errors';
import type { Handling, HandlingEnd } from '../event/around';
import type { HandlingRef } from '../event/hooks';
import type { HookRunner } from '../event/hook-runner';
import type { TransactionContext } from '../transaction/transaction-context';
import { AttemptWatchdog, Stopped } from './attempt-watchdog';
import { BatchContext, CutOff, EventContext } from './event-context';
import { COMMIT_DEADLINE_MS, type Handler, handlingLeaseMs } from './handler';
import { applicationHeaders, type ReadMessage } from './message';
import { failedAttempt, failureOf, HANDLED, type Outcome, reportOf, STOPPING, TAKEN, type Undecided } from './outcome';

/** How long the database may take to answer when the question is whether it is there, in milliseconds. */
const PING_DEADLINE_MS = 2000;

/** What is attempted. */
export interface Attempt {
  readonly handler: Handler;
  /** What may be handled. */
  readonly candidates: readonly ReadMessage[];
  /** Number of the attempt, from 1. */
  readonly number: number;
  /**
   * In the transaction, before the handler: writes the inbox rows as handled.
   * @param idleLimitMs see `DatabasePort.limitIdleTime`
   * @returns the messages that are to be handled: none when others have them
   */
  begin(manager: EntityManager, idleLimitMs: number): Promise<readonly ReadMessage[]>;
}

/** What is known of an attempt while it runs. */
interface Progress {
  phase: 'claiming' | 'handling' | 'ending';
  startedAt: number;
  handled: readonly HandlingRef[];
  /** Why it is being rolled back. */
  failure?: { readonly error: unknown };
  /** The transaction was whole when it failed: what has failed was another database, or another connection. */
  isWhole?: boolean;
}

class RowTaken extends Error {}

/** Runs handlers, each in one transaction with its inbox rows, and makes sure that each run ends. */
export class Attempts {
  constructor(
    private readonly transactions: TransactionContext,
    private readonly hooks: HookRunner,
    /** Aborted when the process can't wait any longer. */
    private readonly stop: AbortSignal,
  ) {}

  /** @returns a `rejected`, `retry` or `dead` that is rolled back and not stored yet, `handled` when all is committed */
  run(attempt: Attempt): Promise<Outcome> {
    return this.hooks.isSurrounded ? this.runSurrounded(attempt) : this.runBare(attempt);
  }

  private async runSurrounded(attempt: Attempt): Promise<Outcome> {
    let outcome: Outcome = STOPPING;
    await this.hooks.around('handle', handlingOf(attempt), async () => {
      outcome = await this.runBare(attempt);
      return endOf(outcome);
    });
    return outcome;
  }

  private async runBare(attempt: Attempt): Promise<Outcome> {
    const { database } = attempt.handler.stores;
    if (this.stop.aborted) return STOPPING;
    let queryRunner: QueryRunner;
    try {
      queryRunner = await database.acquire(attempt.handler.timeoutMs, this.stop);
    } catch (error) {
      return this.stop.aborted ? STOPPING : unavailable(error, false);
    }
    const watchdog = new AttemptWatchdog(this.stop);
    const progress: Progress = { phase: 'claiming', startedAt: 0, handled: [] };
    const cutOff = new CutOff();
    try {
      await watchdog.limit(this.transact(attempt, queryRunner, watchdog, cutOff, progress));
      const durationMs = performance.now() - progress.startedAt;
      for (const ref of progress.handled) this.hooks.run('handled', { ...ref, durationMs });
      return HANDLED;
    } catch (error) {
      if (error instanceof RowTaken) return TAKEN;
      if (!watchdog.hasExpiredBy(error)) return await afterFailure(attempt, queryRunner, progress, error);
      cutOff.because(error);
      return afterCutOff(attempt, progress, error, await database.cut(queryRunner, error));
    } finally {
      watchdog.dispose();
    }
  }

  private transact(
    attempt: Attempt,
    queryRunner: QueryRunner,
    watchdog: AttemptWatchdog,
    cutOff: CutOff,
    progress: Progress,
  ): Promise<void> {
    const { handler } = attempt;
    const { database } = handler.stores;
    const leaseMs = handlingLeaseMs(handler.timeoutMs);
    watchdog.enter(handler.timeoutMs, BEGIN_TOO_LONG);
    return this.transactions.runNew(queryRunner, undefined, async (open) => {
      try {
        // A concurrent duplicate makes the claim wait until its own attempt has ended, which may take as long as a lease.
        watchdog.enter(leaseMs, CLAIM_TOO_LONG);
        const messages = await attempt.begin(queryRunner.manager, leaseMs);
        if (messages.length === 0) throw new RowTaken();
        progress.handled = messages.map(({ opened: { key } }) => ({ ...key, attempt: attempt.number }));
        watchdog.enter(handler.timeoutMs, () => handlerTooLong(handler, messages, database));
        progress.phase = 'handling';
        progress.startedAt = performance.now();
        for (const ref of progress.handled) this.hooks.run('handling', ref);
        const handle = (): Promise<unknown> => invoke(attempt, messages, queryRunner.manager, cutOff);
        await this.transactions.join(open, handle, messages.map(asCause));
        // The COMMIT would look fine, and commit nothing.
        open.guard.assertAlive('The commit was asked for');
        const isLost = database.hasLostTransaction(queryRunner);
        if (isLost instanceof Promise ? await isLost : isLost)
          throw new Error("it ended the library's transaction by SQL of its own");
      } catch (error) {
        if (progress.phase === 'handling') progress.failure = { error };
        watchdog.enter(COMMIT_DEADLINE_MS, END_TOO_LONG);
        if (failureIn(error, database) === 'unavailable') {
          progress.isWhole = progress.phase === 'handling' && (await database.isWhole(queryRunner));
          // One that takes no writes any more, after a failover, must not be given to the next one.
          if (!progress.isWhole) await database.discard(queryRunner, error as Error);
        }
        throw error;
      }
      // A handler that returns after it was cut off finds its transaction gone.
      watchdog.throwIfExpired();
      for (const ref of progress.handled) this.hooks.run('handlerReturned', ref);
      watchdog.enterLast(COMMIT_DEADLINE_MS, END_TOO_LONG);
      progress.phase = 'ending';
    });
  }
}

/** As who stands around it is told. */
function handlingOf({ handler, number, candidates }: Attempt): Handling {
  const { consumer, eventType, batch } = handler;
  return {
    type: eventType.type,
    version: eventType.version,
    consumer,
    attempt: number,
    isBatch: batch !== undefined,
    messages: candidates.map(({ opened: { key, raw } }) => ({
      eventId: key.eventId,
      headers: applicationHeaders(raw.headers),
    })),
  };
}

function endOf(outcome: Outcome): HandlingEnd {
  if (outcome.kind === 'undecided') return { outcome: 'undecided', reason: outcome.because };
  const { outcome: reported, reason } = reportOf(outcome);
  return { outcome: reported, ...(reason !== null && { reason }) };
}

const BEGIN_TOO_LONG = (): Error => new DatabaseDeadlineError('the beginning of the transaction was not answered');
const CLAIM_TOO_LONG = (): Error => new DatabaseDeadlineError('the claim of the inbox row was not answered');
const END_TOO_LONG = (): Error => new DatabaseDeadlineError('the end of the transaction was not answered');

function handlerTooLong(handler: Handler, messages: readonly ReadMessage[], database: DatabasePort): Error {
  const ids = messages.map(({ opened }) => opened.key.eventId);
  const named = ids.length > 1 ? `${ids[0]} and ${ids.length - 1} more` : (ids[0] ?? '');
  return new HandlerTimeoutError(handler.consumer, named, handler.timeoutMs, database.callersWaiting);
}

function asCause({ opened: { key, raw } }: ReadMessage): Cause {
  return causeOf(key.eventId, raw.headers);
}

function invoke(
  { handler, number }: Attempt,
  messages: readonly ReadMessage[],
  manager: EntityManager,
  cutOff: CutOff,
): Promise<unknown> {
  const { type, version } = handler.eventType;
  const { consumer } = handler;
  const facts = messages.map(({ opened: { key, raw, stored } }) => ({
    eventId: key.eventId,
    attempt: number,
    producer: raw.appId,
    headers: applicationHeaders(raw.headers),
    key: stored.key ?? undefined,
    causationId: causationIdOf(raw.headers),
    correlationId: correlationIdOf(raw.headers),
  }));
  if (handler.batch) {
    const context = new BatchContext({ type, version, consumer, messages: facts, manager }, cutOff);
    return handler.invoke(
      messages.map(({ event }) => event),
      context,
    );
  }
  const [message] = messages as [ReadMessage];
  const [fact] = facts as [(typeof facts)[number]];
  return handler.invoke(message.event, new EventContext({ ...fact, type, version, consumer, manager }, cutOff));
}

/**
 * The transaction has failed by itself. When it could not even be rolled back its connection is gone, and whatever the
 * handler threw may be a consequence: if the database is away the attempt says nothing about the message.
 */
async function afterFailure(
  { handler, number }: Attempt,
  queryRunner: QueryRunner,
  { phase, failure, isWhole }: Progress,
  error: unknown,
): Promise<Outcome> {
  const { database } = handler.stores;
  const connectionLost = queryRunner.isTransactionActive;
  const started = phase !== 'claiming';
  const kind = failureIn(error, database);
  if (kind === 'conflict' && !connectionLost) return { kind: 'undecided', because: 'conflict', error };
  if (kind === 'unavailable' && !started) return unavailable(error, started);
  if (kind !== 'unavailable' && !connectionLost) return failureOf(error, number, handler);
  const away = await whyAway(database);
  if (away !== undefined) return unavailable(away, started);
  if (isWhole && !connectionLost) return failureOf(error, number, handler);
  // The handler has done its part; whether that was committed, its inbox row says. Or its connection was given up, and another one
  // may do.
  if (kind === 'unavailable' || (phase === 'ending' && !failure))
    return { ...unavailable(error, started), isBack: true };
  return failedAttempt(`its database connection was lost: ${describeError(error)}`, number, handler);
}

/** @param away why the database could not end the attempt, when it could not */
function afterCutOff(
  { handler, number }: Attempt,
  { phase, failure }: Progress,
  reason: Error,
  away: unknown,
): Outcome {
  if (reason instanceof Stopped) return STOPPING;
  const started = phase !== 'claiming';
  if (away !== undefined) return unavailable(away, started);
  if (reason instanceof DatabaseDeadlineError && !failure) return unavailable(reason, started);
  return failureOf(failure ? failure.error : reason, number, handler);
}

function unavailable(error: unknown, started: boolean): Undecided {
  return { kind: 'undecided', because: 'unavailable', error, started };
}

/** What the database says of an error, or of what has caused it: handlers wrap what they catch. */
function failureIn(error: unknown, database: DatabasePort): DatabaseFailure | undefined {
  for (const each of causesOf(error)) {
    const kind = each instanceof Error ? database.failureOf(each) : undefined;
    if (kind) return kind;
  }
  return undefined;
}

/** @returns why the database does not answer, when it does not */
async function whyAway(database: DatabasePort): Promise<unknown> {
  try {
    await database.ping(PING_DEADLINE_MS);
    return undefined;
  } catch (error) {
    return error;
  }
}
