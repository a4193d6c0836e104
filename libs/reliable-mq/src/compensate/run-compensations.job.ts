import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { acquireQueryRunner, DatabaseDeadlineError, destroyConnection, within } from '../database/deadline';
import { backoffMs } from '../domain/backoff';
import { describeError } from '../domain/errors';
import type { HookRunner } from '../domain/hook-runner';
import type { EventFailure } from '../domain/outcome';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ClaimedEvent } from '../outbox/outbox.store';
import type { TransactionContext } from '../record/transaction-context';
import type { StoreSet } from '../stores/stores';
import type { CompensationHandler, CompensationRegistry } from './compensation-registry';
import type { Job } from './job';

/** Events compensated at once: each holds a connection. */
const CONCURRENCY = 4;
const LEASE_MARGIN_MS = 15_000;

class ClaimLost extends Error {}

/** Runs the compensation handlers of dead events, each in one transaction with its row, until it has committed. */
export class RunCompensationsJob implements Job {
  private readonly logger = new Logger('ReliableMq');
  readonly name = 'compensate';
  readonly dataSource: string;

  constructor(
    private readonly set: StoreSet,
    private readonly registry: CompensationRegistry,
    private readonly transactions: TransactionContext,
    private readonly options: ResolvedOptions['compensation'],
    private readonly hooks: HookRunner,
    private readonly onRetryIn: (delayMs: number) => void,
  ) {
    this.dataSource = set.name;
  }

  ready(): boolean {
    return true;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const token = randomUUID();
      const leaseMs = this.options.timeoutMs + LEASE_MARGIN_MS;
      const claimed = await this.set.outbox.claim('dead', CONCURRENCY, leaseMs, token);
      if (claimed.length === 0) return;
      progress(claimed.length);
      await Promise.all(claimed.map((event) => this.compensate(event, token)));
      if (claimed.length < CONCURRENCY) return;
    }
  }

  private async compensate(event: ClaimedEvent, token: string): Promise<void> {
    const handler = this.registry.find(event.type, event.version);
    if (!handler) {
      await this.set.outbox.settleCompensated(undefined, event.id, token, false);
      return;
    }
    const ref = { eventId: event.id, type: event.type };
    try {
      await this.runHandler(handler, event, token);
      this.logger.log('A dead event was compensated', {
        ...ref,
        attempt: event.compensationAttempts,
        handler: handler.label,
      });
      this.hooks.run('compensated', ref);
    } catch (error) {
      if (error instanceof ClaimLost) {
        this.logger.warn('A compensation found that its claim had been lost; rolled back', ref);
        return;
      }
      const retryInMs = backoffMs(this.options.backoff, event.compensationAttempts);
      const reason = describeError(error);
      this.logger.error('A compensation handler failed; tried again', {
        ...ref,
        attempt: event.compensationAttempts,
        handler: handler.label,
        reason,
        retryInMs,
      });
      this.hooks.run('compensationFailed', { ...ref, attempt: event.compensationAttempts, reason, retryInMs });
      await this.set.outbox.settleCompensationFailed(event.id, token, reason, retryInMs);
      this.onRetryIn(retryInMs);
    }
  }

  private async runHandler(handler: CompensationHandler, event: ClaimedEvent, token: string): Promise<void> {
    const { timeoutMs } = this.options;
    const { dataSource, outbox } = this.set;
    const payload = plainToInstance(handler.eventType.eventClass, JSON.parse(event.payload) as object);
    const failure: EventFailure = {
      eventId: event.id,
      type: event.type,
      reason: event.reason ?? 'unknown',
      outcomes: Object.entries(event.outcomes).map(([consumer, stored]) => ({ consumer, ...stored })),
    };
    const queryRunner = await acquireQueryRunner(dataSource, timeoutMs);
    this.hooks.run('compensating', { eventId: event.id, type: event.type, attempt: event.compensationAttempts });
    const work = this.transactions.runNew(queryRunner, undefined, async () => {
      // First, so that two runs of one compensation wait for each other instead of both calling the handler.
      if (!(await outbox.settleCompensated(queryRunner.manager, event.id, token, true))) throw new ClaimLost();
      await this.transactions.inside(dataSource, queryRunner, true, () => handler.invoke(payload, failure));
      this.hooks.run('compensationReturned', { eventId: event.id, type: event.type });
    });
    try {
      await within(
        timeoutMs,
        work,
        () => new DatabaseDeadlineError(`${handler.label} did not finish within ${timeoutMs} ms`),
      );
    } catch (error) {
      if (error instanceof DatabaseDeadlineError) await destroyConnection(queryRunner, error).catch(() => undefined);
      throw error;
    }
  }
}
