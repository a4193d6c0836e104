import { Inject, Injectable } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { DatabaseDeadlineError } from '../database/port';
import { within } from '../wait/deadline';
import { backoffMs } from '../wait/backoff';
import { backfilledConsumers } from '../event/backfill';
import { causeOf } from '../event/cause';
import { describeError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import { EventFailure } from '../event/outcome';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { TransactionContext } from '../transaction/transaction-context';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { type CompensationHandler, CompensationRegistry } from './compensation-registry';
import { DueEvents } from '../repair/due-events';
import { type Job, type ReportBatch, reportClaimed } from '../repair/job';
import { createLog } from '../log/log';

/** Events compensated at once: each holds a connection. */
const CONCURRENCY = 4;
const LEASE_MARGIN_MS = 15_000;

class ClaimLost extends Error {}

/** Runs the compensation handlers of dead events, each in one transaction with its row, until it has committed. */
@Injectable()
export class RunCompensationsJob implements Job {
  private readonly logger = createLog();
  readonly name = 'compensate';
  private readonly options: ResolvedOptions['compensation'];
  private readonly due: PerDataSource<DueEvents>;
  private readonly cutting = new AbortController();

  constructor(
    private readonly registry: CompensationRegistry,
    private readonly transactions: TransactionContext,
    @Inject(RESOLVED_OPTIONS) { publish, compensation }: Pick<ResolvedOptions, 'publish' | 'compensation'>,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
  ) {
    this.options = compensation;
    const limit = { rows: CONCURRENCY, bytes: publish.bufferBytes };
    const leaseMs = compensation.timeoutMs + LEASE_MARGIN_MS;
    this.due = new PerDataSource(({ outbox }) => new DueEvents(outbox, 'dead', limit, leaseMs));
  }

  ready(): boolean {
    return true;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    for await (const { events, token } of this.due.of(set).claim(() => !stop.aborted)) {
      reportClaimed(report, events);
      const results = await Promise.allSettled(events.map((event) => this.compensate(set, event, token)));
      const failed = results.find((result) => result.status === 'rejected');
      if (failed) throw failed.reason;
    }
  }

  cutOff(): void {
    this.cutting.abort(new DatabaseDeadlineError('the process is stopping'));
  }

  private async compensate(set: StoreSet, event: ClaimedEvent, token: string): Promise<void> {
    const handler = isHistoryOnly(event) ? undefined : this.registry.find(event.type, event.version);
    if (!handler) {
      await set.outbox.settleCompensated(undefined, event.id, token, false);
      return;
    }
    const ref = { eventId: event.id, type: event.type };
    const attempt = event.compensationAttempts;
    try {
      const { headers, reason } = event;
      const about = { ...ref, attempt, reason: reason ?? 'unknown', headers: headers ?? {} };
      await this.hooks.around('compensate', about, () => this.runHandler(set, handler, event, token));
      this.logger.log('A dead event was compensated', { ...ref, attempt, handler: handler.label });
      this.hooks.run('compensated', ref);
    } catch (error) {
      if (error instanceof ClaimLost) {
        this.logger.warn('A compensation found that its claim had been lost; rolled back', ref);
        return;
      }
      await this.retryLater(set, handler, event, token, describeError(error));
    }
  }

  private async retryLater(
    set: StoreSet,
    handler: CompensationHandler,
    event: ClaimedEvent,
    token: string,
    reason: string,
  ): Promise<void> {
    const ref = { eventId: event.id, type: event.type };
    const attempt = event.compensationAttempts;
    const retryInMs = this.cutting.signal.aborted ? 0 : backoffMs(this.options.backoff, attempt);
    if (!(await set.outbox.settleCompensationFailed(event.id, token, reason, retryInMs))) {
      // Its commit was under way when the connection broke, and has come through; or the lease is over.
      this.logger.warn('A compensation that seemed to fail has committed, or its claim was lost', { ...ref, reason });
      return;
    }
    this.logger.error('A compensation handler failed; tried again', {
      ...ref,
      attempt,
      handler: handler.label,
      reason,
      retryInMs,
    });
    this.hooks.run('compensationFailed', { ...ref, attempt, reason, retryInMs });
    this.wakeups.wake('compensate', retryInMs);
  }

  private async runHandler(
    set: StoreSet,
    handler: CompensationHandler,
    event: ClaimedEvent,
    token: string,
  ): Promise<void> {
    const { timeoutMs } = this.options;
    const { outbox, database } = set;
    const payload = plainToInstance(handler.eventType.eventClass, JSON.parse(event.payload) as object);
    const outcomes = Object.entries(event.outcomes).map(([consumer, stored]) => ({ consumer, ...stored }));
    const failure = new EventFailure(event.id, event.type, event.reason ?? 'unknown', outcomes);
    const queryRunner = await database.acquire(timeoutMs);
    const run = new AbortController();
    this.hooks.run('compensating', { eventId: event.id, type: event.type, attempt: event.compensationAttempts });
    const work = this.transactions.runNew(queryRunner, undefined, async (open) => {
      await database.limitIdleTime(queryRunner.manager, timeoutMs + LEASE_MARGIN_MS);
      // First, so that two runs of one compensation wait for each other instead of both calling the handler.
      if (!(await outbox.settleCompensated(queryRunner.manager, event.id, token, true))) throw new ClaimLost();
      const compensate = (): Promise<unknown> => handler.invoke(payload, failure, run);
      await this.transactions.join(open, compensate, [causeOf(event.id, event.headers)]);
      this.hooks.run('compensationReturned', { eventId: event.id, type: event.type });
    });
    try {
      await within(
        timeoutMs,
        orAborted(work, this.cutting.signal),
        () => new DatabaseDeadlineError(`${handler.label} did not finish within ${timeoutMs} ms`),
      );
    } catch (error) {
      run.abort(error);
      if (error instanceof DatabaseDeadlineError) await database.cut(queryRunner, error);
      throw error;
    }
  }
}

/**
 * Only consumers that got the event as history have not handled it: its business was done long ago, and is not undone because one of them could not
 * take it. It needs a person.
 */
function isHistoryOnly({ headers, consumers, outcomes }: ClaimedEvent): boolean {
  const later = backfilledConsumers(headers);
  return later.length > 0 && consumers.every((name) => later.includes(name) || outcomes[name]?.outcome === 'handled');
}

/** The work's result, or the signal's reason when that is aborted first. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
  });
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
