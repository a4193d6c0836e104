import type { EntityManager } from 'typeorm';

/** What a handler learns of the message beside its payload. */
export interface EventContext {
  /** The idempotency key: the same in every delivery of the event. */
  readonly eventId: string;
  readonly type: string;
  readonly version: number;
  /** The consumer that handles it here. */
  readonly consumer: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  /** The producer's service name, if the message says so. */
  readonly producer: string | undefined;
  /** The application's headers. A foreign publisher may have sent anything. */
  readonly headers: Readonly<Record<string, unknown>>;
  /** The transaction that the inbox row is written in. Injected repositories of the same DataSource take part in it too. */
  readonly manager: EntityManager;
  /** Aborted when the attempt's time is over or the process must stop: pass it on to whatever can be cancelled. */
  readonly signal: AbortSignal;
}
