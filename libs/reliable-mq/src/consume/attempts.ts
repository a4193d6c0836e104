import { describeError } from '../event/errors';
import type { HandlingRef } from '../event/hooks';
import type { HookRunner } from '../event/hook-runner';
import type { AttemptResult } from './attempt-result';
import type { AttemptRunner, ClaimRow } from './attempt-runner';
import { BatchCollector } from './batch-collector';
import type { BatchRunner } from './batch-runner';
import { type Conclusion, failureAfter, HANDLED } from './conclusion';
import { type Handler, handlingLeaseMs } from './handler';
import type { OpenedMessage, ReadMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';

/** Attempts of one message in a row that an outage of the database may cut off without their being counted. */
const UNCOUNTED_ATTEMPTS = 2;

/** While one batch is committed another one works. */
const BATCHES_PER_PREFETCH = 2;

/**
 * How a first attempt ended. `existing`: there is a row. `again`: the database was away and is back. undefined: the process is
 * stopping.
 */
export type FirstEnd = Conclusion | 'existing' | 'again' | undefined;

/** Makes attempts and stores how they ended. */
export class Attempts {
  /** How often in a row a message's attempts were cut off by an outage, by message. */
  private readonly uncounted = new Map<string, number>();

  private readonly collectors = new Map<Handler, BatchCollector<FirstEnd>>();

  constructor(
    private readonly runner: AttemptRunner,
    private readonly batches: BatchRunner,
    private readonly outcomes: OutcomeWriter,
    private readonly hooks: HookRunner,
    private readonly stop: AbortSignal,
  ) {}

  /** The first attempt of a message without an inbox row; the row is part of its transaction. */
  async fresh(message: ReadMessage): Promise<FirstEnd> {
    const { handler, stored } = message;
    const ref = handlingRef(message, 1);
    const claim: ClaimRow = (manager) => handler.stores.inbox.insertHandled(manager, ref, stored);
    const result = await this.runner.run(message, 1, claim, this.stop);
    return this.concludeFirst(message, ref, this.countOutages(ref, result));
  }

  /** The same, in a transaction that messages share which arrive together. */
  shared(message: ReadMessage): Promise<FirstEnd> {
    const { handler } = message;
    let collector = this.collectors.get(handler);
    if (!collector) {
      collector = new BatchCollector(
        Math.ceil(handler.prefetch / BATCHES_PER_PREFETCH),
        (messages, onWorked) => this.batches.run(handler, messages, onWorked),
        (each, result) =>
          result.kind === 'alone' ? this.fresh(each) : this.concludeFirst(each, handlingRef(each, 1), result),
      );
      this.collectors.set(handler, collector);
    }
    return collector.take(message);
  }

  /**
   * An attempt of a message whose row is claimed.
   * @returns undefined when nothing is concluded: the process is stopping, the database was away, or the claim was lost
   */
  async claimed(message: ReadMessage, attempt: number, token: string): Promise<Conclusion | undefined> {
    const { handler } = message;
    const { stores } = handler;
    const ref = handlingRef(message, attempt);
    const result = this.countOutages(
      ref,
      await this.runner.run(message, attempt, (manager) => stores.inbox.settleHandled(manager, ref, token), this.stop),
    );
    switch (result.kind) {
      case 'handled':
        return this.handled(ref, result.durationMs);
      case 'taken':
        this.outcomes.claimLost(ref);
        return undefined;
      case 'failed':
      case 'rejected': {
        const failure = failureAfter(result.kind, result.reason, attempt, handler);
        return this.outcomes.settleFailure(stores, ref, token, failure);
      }
      case 'unavailable':
        if (!result.isBack) await this.outcomes.recovered(stores, result.error);
        await this.outcomes.giveBack(stores, ref, token);
        return undefined;
      case 'stopped':
        await this.outcomes.giveBack(stores, ref, token);
        return undefined;
    }
  }

  private async concludeFirst(message: ReadMessage, ref: HandlingRef, result: AttemptResult): Promise<FirstEnd> {
    const { handler, stored } = message;
    const { stores } = handler;
    switch (result.kind) {
      case 'handled':
        return this.handled(ref, result.durationMs);
      case 'taken':
        return 'existing';
      case 'failed':
      case 'rejected': {
        const failure = failureAfter(result.kind, result.reason, 1, handler);
        return this.outcomes.insertFailure(stores, ref, stored, failure, handlingLeaseMs(handler.timeoutMs));
      }
      case 'unavailable':
        if (!result.isBack) await this.outcomes.recovered(stores, result.error);
        return 'again';
      case 'stopped':
        return undefined;
    }
  }

  private handled(ref: HandlingRef, durationMs: number): Conclusion {
    this.hooks.run('handled', { ...ref, durationMs });
    return HANDLED;
  }

  /** An outage costs no attempt, unless it hits the same message again and again: the message may be what causes it. */
  private countOutages({ consumer, eventId }: HandlingRef, result: AttemptResult): AttemptResult {
    const id = `${consumer} ${eventId}`;
    const outages = (this.uncounted.get(id) ?? 0) + 1;
    this.uncounted.delete(id);
    if (result.kind !== 'unavailable' || !result.started) return result;
    if (outages > UNCOUNTED_ATTEMPTS) {
      const reason = `the database went away during ${outages} attempts in a row: ${describeError(result.error)}`;
      return { kind: 'failed', reason };
    }
    this.uncounted.set(id, outages);
    return result;
  }
}

export function handlingRef({ eventId, handler }: OpenedMessage | ReadMessage, attempt: number): HandlingRef {
  return { eventId, type: handler.eventType.type, consumer: handler.consumer, attempt };
}
