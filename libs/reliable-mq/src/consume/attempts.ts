import { describeError } from '../domain/errors';
import type { HandlingRef } from '../domain/hooks';
import type { HookRunner } from '../domain/hook-runner';
import type { AttemptResult, AttemptRunner } from './attempt-runner';
import { type Conclusion, failureAfter, HANDLED } from './conclusion';
import { handlingLeaseMs } from './handler';
import type { ReadMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';

/** Attempts of one message in a row that an outage of the database may cut off without their being counted. */
const UNCOUNTED_ATTEMPTS = 2;

/** Makes single attempts and stores how they ended. */
export class Attempts {
  /** How often in a row a message's attempts were cut off by an outage, by message. */
  private readonly uncounted = new Map<string, number>();

  constructor(
    private readonly runner: AttemptRunner,
    private readonly outcomes: OutcomeWriter,
    private readonly hooks: HookRunner,
    private readonly stop: AbortSignal,
  ) {}

  /**
   * The first attempt of a message without an inbox row; the row is part of its transaction.
   * @returns `existing`: there is a row. `again`: the database was away and is back. undefined: the process is stopping
   */
  async fresh(message: ReadMessage): Promise<Conclusion | 'existing' | 'again' | undefined> {
    const { handler, stored } = message;
    const { stores } = handler;
    const ref = handlingRef(message, 1);
    const result = this.countOutages(
      ref,
      await this.runner.run(message, 1, (manager) => stores.inbox.insertHandled(manager, ref, stored), this.stop),
    );
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
        await this.outcomes.recovered(stores, result.error);
        return 'again';
      case 'stopped':
        return undefined;
    }
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
        await this.outcomes.recovered(stores, result.error);
        await this.outcomes.giveBack(stores, ref, token);
        return undefined;
      case 'stopped':
        await this.outcomes.giveBack(stores, ref, token);
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

export function handlingRef({ eventId, handler, stored }: ReadMessage, attempt: number): HandlingRef {
  return { eventId, type: stored.type, consumer: handler.consumer, attempt };
}
