import { backoffMs } from '../domain/backoff';
import { CHASE_PATIENCE, chaseBackoff } from '../domain/chase';
import type { GiveUpPolicy } from '../domain/event-type';
import type { EventTypes } from '../domain/event-types';
import type { ResolvedOptions } from '../options/resolved-options';
import type { PublishOutcome } from '../transport/transport';
import type { PublishSettlement } from '../outbox/outbox.store';

/** Wait this long, in milliseconds, before an event is tried again that the broker's absence has kept from being tried. */
const POSTPONE_MS = 1000;

/** Decides what follows from an attempt: the policy of the event's type where it has one, of the module otherwise. */
export class GiveUp {
  constructor(
    private readonly publish: ResolvedOptions['publish'],
    private readonly chaseAfterMs: number,
    private readonly eventTypes: EventTypes,
  ) {}

  policy(event: { readonly type: string; readonly version: number }): GiveUpPolicy {
    const own = this.eventTypes.find(event)?.giveUp;
    return {
      maxAttempts: own?.maxAttempts ?? this.publish.maxAttempts,
      backoff: { ...this.publish.backoff, ...own?.backoff },
    };
  }

  /** What to write after an attempt to publish. `attempt` counts from 1 and includes this one. */
  afterPublish(
    event: { readonly id: string; readonly token: string; readonly type: string; readonly version: number },
    attempt: number,
    outcome: PublishOutcome,
  ): PublishSettlement {
    const { id, token } = event;
    const policy = this.policy(event);
    if (outcome.status === 'routed') {
      const delayMs = backoffMs(chaseBackoff(policy.backoff, this.chaseAfterMs), attempt);
      return { id, token, result: 'published', delayMs, reason: null };
    }
    const { reason } = outcome;
    if (outcome.status === 'unavailable') {
      return { id, token, result: 'postponed', delayMs: POSTPONE_MS + Math.random() * POSTPONE_MS, reason };
    }
    if (attempt >= policy.maxAttempts) {
      return {
        id,
        token,
        result: 'dead',
        delayMs: 0,
        reason: `given up after ${attempt} attempts to publish: ${reason}`,
      };
    }
    return { id, token, result: 'retry', delayMs: backoffMs(policy.backoff, attempt), reason };
  }

  /**
   * How long after it was published an event is left alone that may still wait in its consumer's queue, in milliseconds. Then it is
   * published again in any case: it may be the one that was lost while others wait there.
   * @param event as it was claimed: `attempts` counts the attempt that would be made now
   */
  patienceMs(event: { readonly type: string; readonly version: number; readonly attempts: number }): number {
    const delays = chaseBackoff(this.policy(event).backoff, this.chaseAfterMs);
    return CHASE_PATIENCE * backoffMs({ ...delays, jitter: 0 }, Math.max(1, event.attempts - 1));
  }
}
