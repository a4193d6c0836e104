import type { HookRunner } from '../event/hook-runner';
import type { HandlingRef } from '../event/hooks';
import { createLog } from '../log/log';
import type { Claim } from './claim';
import type { OpenedMessage } from './message';
import { at, type Failure, reportOf } from './outcome';

/** Conflicts that come after so long a time without any are told of again, in milliseconds. */
const CONFLICTS_QUIET_MS = 60_000;

/** Tells people and hooks how the handling of one queue's messages goes wrong. */
export class HandlingLog {
  private readonly log = createLog();
  private conflictToldMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly hooks: HookRunner) {}

  /** It is stored. */
  failed({ eventId, type, consumer, attempt }: HandlingRef, failure: Failure): void {
    const { outcome, retryAfterMs: retryInMs } = reportOf(failure);
    const { reason } = failure;
    const where = at(failure.where);
    const ref = { eventId, type, consumer, attempt };
    switch (failure.kind) {
      case 'waits':
        this.log.warn('An event waits for a release that handles its version', { ...ref, reason, retryInMs });
        return;
      case 'retry':
        this.log.warn('A handler failed; the event is tried again', { ...ref, reason, ...where, retryInMs });
        break;
      default:
        this.log.error('An event is given up by its consumer', { ...ref, outcome, reason, ...where });
    }
    this.hooks.run('handlingFailed', { ...ref, reason, ...where, retryInMs, outcome });
  }

  /** Once, as long as they go on. */
  conflict({ key, handler }: OpenedMessage, reason: string): void {
    const sinceMs = performance.now() - this.conflictToldMs;
    this.conflictToldMs = performance.now();
    if (sinceMs < CONFLICTS_QUIET_MS) return;
    const { consumer, type, eventId } = key;
    this.log.warn(
      'Transactions of a handler fail because of others that run beside them; they are run again, and no attempt is counted',
      { consumer, type, eventId, handler: handler.label, reason },
    );
  }

  claimLost({ key, attempt }: Claim): void {
    const { eventId, consumer, type } = key;
    this.log.warn('An attempt found that its claim had been lost; the other claim stands', {
      eventId,
      consumer,
      type,
      attempt,
    });
  }
}
