import { Inject, Injectable } from '@nestjs/common';
import { type Backoff, backoffMs } from '../wait/backoff';
import { CHASE_PATIENCE, chaseBackoff } from '../event/chase';
import type { EventType, GiveUpPolicy } from '../event/event-type';
import { EventTypes } from '../event/event-types';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { PublishOutcome } from '../broker/transport';
import type { Settlement } from './settler';

/** Wait this long, in milliseconds, before an event is tried again that the broker's absence has kept from being tried. */
const POSTPONE_MS = 1000;

interface Policy extends GiveUpPolicy {
  /** Delays of its chases. */
  readonly chase: Backoff;
}

/** Decides what follows from an attempt: the policy of the event's type where it has one, of the module otherwise. */
@Injectable()
export class GiveUp {
  private readonly ofModule: Policy;
  private readonly ofTypes = new WeakMap<EventType, Policy>();

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'publish' | 'receipts'>,
    private readonly eventTypes: EventTypes,
  ) {
    this.ofModule = this.policyWith({});
  }

  policy(event: { readonly type: string; readonly version: number }): Policy {
    const eventType = this.eventTypes.find(event);
    if (!eventType) return this.ofModule;
    let policy = this.ofTypes.get(eventType);
    if (!policy) this.ofTypes.set(eventType, (policy = this.policyWith(eventType.giveUp)));
    return policy;
  }

  /** What to write after an attempt to publish. `attempt` counts from 1 and includes this one. */
  afterPublish(
    event: { readonly id: string; readonly token: string; readonly type: string; readonly version: number },
    attempt: number,
    outcome: PublishOutcome,
  ): Settlement {
    const { id, token, type } = event;
    const policy = this.policy(event);
    if (outcome.status === 'routed') {
      const delayMs = backoffMs(policy.chase, attempt);
      return { id, token, type, result: 'published', delayMs, reason: null };
    }
    const { reason } = outcome;
    if (outcome.status === 'unavailable') {
      return { id, token, type, result: 'postponed', delayMs: POSTPONE_MS + Math.random() * POSTPONE_MS, reason };
    }
    if (attempt >= policy.maxAttempts) {
      return {
        id,
        token,
        type,
        result: 'dead',
        delayMs: 0,
        reason: `given up after ${attempt} attempts to publish: ${reason}`,
      };
    }
    return { id, token, type, result: 'retry', delayMs: backoffMs(policy.backoff, attempt), reason };
  }

  /**
   * How long after it was published an event is left alone that may still wait in its consumer's queue, in milliseconds. Then it is
   * published again in any case: it may be the one that was lost while others wait there.
   * @param event as it was claimed: `attempts` counts the attempt that would be made now
   */
  patienceMs(event: { readonly type: string; readonly version: number; readonly attempts: number }): number {
    const { chase } = this.policy(event);
    return CHASE_PATIENCE * backoffMs({ ...chase, jitter: 0 }, Math.max(1, event.attempts - 1));
  }

  private policyWith(own: EventType['giveUp']): Policy {
    const { publish, receipts } = this.options;
    const backoff = { ...publish.backoff, ...own?.backoff };
    const maxAttempts = own?.maxAttempts ?? publish.maxAttempts;
    return { maxAttempts, backoff, chase: chaseBackoff(backoff, receipts.chaseAfterMs) };
  }
}
