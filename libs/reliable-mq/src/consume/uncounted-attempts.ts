import { describeError } from '../event/errors';
import { backoffMs } from '../wait/backoff';
import type { Handler } from './handler';
import type { HandlingLog } from './handling-log';
import type { OpenedMessage } from './message';
import { failedAttempt, type Outcome, type Undecided } from './outcome';

/** Attempts of one message in a row that an outage of the database may cut off without their being counted. */
const UNCOUNTED_OUTAGES = 2;
/** Delays between tries of a transaction that another one was in the way of, in milliseconds. */
const CONFLICT_BACKOFF = { initialMs: 20, maxMs: 500, jitter: 0.9 };
/**
 * For how many of the handler's timeouts conflicts of one message are not counted. They end by themselves as a rule, when those that
 * were faster have committed; a transaction that meets one each time may be what makes them.
 */
const CONFLICT_TIMEOUTS = 2;

/** What one message has met in a row while it was in hand. */
export class Conflicts {
  /** For how long they are not counted, in milliseconds. */
  readonly patienceMs: number;
  private count = 0;
  private endMs = Number.POSITIVE_INFINITY;

  constructor({ timeoutMs }: Pick<Handler, 'timeoutMs'>) {
    this.patienceMs = timeoutMs * CONFLICT_TIMEOUTS;
  }

  /** How long to wait before the transaction is run again, in milliseconds. */
  get delayMs(): number {
    return backoffMs(CONFLICT_BACKOFF, this.count);
  }

  /** @returns whether they last for too long */
  met(): boolean {
    const isTooLong = performance.now() >= this.endMs;
    this.count += 1;
    if (this.count === 1) this.endMs = performance.now() + this.patienceMs;
    return isTooLong;
  }
}

/** Outages and conflicts cost no attempt, unless they hit the same message again and again: the message may be what causes them. */
export class UncountedAttempts {
  /** How often in a row a message's attempts were cut off by an outage, by event id. */
  private readonly outages = new Map<string, number>();

  constructor(private readonly log: HandlingLog) {}

  /** @returns what follows from an attempt that decided nothing: nothing, or a failed attempt */
  judge(message: OpenedMessage, attempt: number, ended: Undecided, conflicts: Conflicts): Outcome {
    const { handler, key } = message;
    if (ended.because === 'conflict') {
      const reason = describeError(ended.error);
      if (conflicts.met()) {
        const why = `other transactions were in its way for ${conflicts.patienceMs} ms: ${reason}`;
        return failedAttempt(why, attempt, handler);
      }
      this.log.conflict(message, reason);
      return ended;
    }
    if (ended.because !== 'unavailable' || !ended.started) return ended;
    const outages = (this.outages.get(key.eventId) ?? 0) + 1;
    this.outages.set(key.eventId, outages);
    if (outages <= UNCOUNTED_OUTAGES) return ended;
    const why = `the database went away during ${outages} attempts in a row: ${describeError(ended.error)}`;
    return failedAttempt(why, attempt, handler);
  }

  /** An attempt was not cut off by an outage. */
  outageIsOver({ key }: OpenedMessage): void {
    this.outages.delete(key.eventId);
  }
}
