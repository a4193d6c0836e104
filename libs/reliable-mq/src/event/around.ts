import type { EventRef } from './hooks';
import type { EventHeaders } from './message-headers';
import type { ConsumerOutcome } from './outcome';

/** Events of one type that are recorded with one statement. */
export interface Recording {
  readonly type: string;
  readonly version: number;
  readonly count: number;
}

/** One attempt of a consumer: one message, or those of a batch. */
export interface Handling {
  readonly type: string;
  readonly version: number;
  readonly consumer: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  readonly isBatch: boolean;
  /** Some of a batch may turn out to be handled elsewhere. */
  readonly messages: readonly HandledMessage[];
}

export interface HandledMessage {
  readonly eventId: string;
  /** The application's. A foreign publisher may have sent anything. */
  readonly headers: Readonly<Record<string, unknown>>;
}

/** How an attempt ended. */
export interface HandlingEnd {
  /**
   * `undecided`: nothing of it is stored or counted, because another delivery had the message (`taken`), the database went away
   * (`unavailable`), other transactions were in the way (`conflict`), or the process stops (`stopping`); the reason says which.
   */
  readonly outcome: ConsumerOutcome | 'undecided';
  readonly reason?: string;
}

/** One run of a compensation handler. */
export interface Compensation extends EventRef {
  /** Number of the run, from 1. */
  readonly attempt: number;
  /** Why the event is dead. */
  readonly reason: string;
  /** The event's headers. */
  readonly headers: EventHeaders;
}

/**
 * Work that others may put something around: a trace's span, a logger's context, a stopwatch.
 *
 * Each function is called when the work is about to begin. It calls `run`, once and before it returns, in whatever context the work shall
 * run in, and may wait for the promise that `run` returns. Nobody waits for the function itself. What it throws is logged and changes
 * nothing; if it has not called `run`, the work runs without it.
 */
export interface Around {
  /**
   * The INSERT of events, in their transaction. Headers that `run` is given are stored with each event, below those that the application
   * itself gives; those that could not be sent are left out. `run` resolves to the event ids.
   */
  record(recording: Recording, run: (headers?: EventHeaders) => Promise<readonly string[]>): void | Promise<void>;
  /** An attempt: the transaction with the inbox rows, the handler in it, and its commit or rollback. */
  handle(handling: Handling, run: () => Promise<HandlingEnd>): void | Promise<void>;
  /** A run of a compensation handler with its transaction. `run` rejects when it has failed. */
  compensate(compensation: Compensation, run: () => Promise<void>): void | Promise<void>;
}
