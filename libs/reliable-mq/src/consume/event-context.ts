import type { EntityManager } from 'typeorm';

/** What a handler learns of the message beside its payload. */
export class EventContext {
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
  /** What people search the event by, if its producer gave it a key. */
  readonly key: string | undefined;
  /** Id of the event that was being handled when this one was recorded. */
  readonly causationId: string | undefined;
  /** The header `correlationId`. Events that are recorded here have it too, unless they have another. */
  readonly correlationId: string | undefined;
  /** The transaction that the inbox row is written in. Injected repositories of the same DataSource take part in it too. */
  readonly manager: EntityManager;
  private readonly cut: CutOff;

  /** @internal */
  constructor(facts: Omit<EventContext, 'signal'>, cut: CutOff) {
    this.eventId = facts.eventId;
    this.type = facts.type;
    this.version = facts.version;
    this.consumer = facts.consumer;
    this.attempt = facts.attempt;
    this.producer = facts.producer;
    this.headers = facts.headers;
    this.key = facts.key;
    this.causationId = facts.causationId;
    this.correlationId = facts.correlationId;
    this.manager = facts.manager;
    this.cut = cut;
  }

  /** Aborted when the attempt's time is over or the process must stop: pass it on to whatever can be cancelled. */
  get signal(): AbortSignal {
    return this.cut.signal;
  }
}

/** What a batch handler learns of its events beside their payloads. */
export class BatchContext {
  readonly type: string;
  readonly version: number;
  readonly consumer: string;
  /** What is known of each event, in the order of the events. */
  readonly messages: readonly BatchMessage[];
  /** The transaction that the inbox rows are written in. */
  readonly manager: EntityManager;
  private readonly cut: CutOff;

  /** @internal */
  constructor(facts: Omit<BatchContext, 'signal'>, cut: CutOff) {
    this.type = facts.type;
    this.version = facts.version;
    this.consumer = facts.consumer;
    this.messages = facts.messages;
    this.manager = facts.manager;
    this.cut = cut;
  }

  /** Aborted when the attempt's time is over or the process must stop. */
  get signal(): AbortSignal {
    return this.cut.signal;
  }
}

/**
 * An event that is recorded in a batch handler has no cause of its own accord: say which one, `record(event, { causationId: message.eventId })`.
 */
export type BatchMessage = Pick<
  EventContext,
  'eventId' | 'attempt' | 'producer' | 'headers' | 'key' | 'causationId' | 'correlationId'
>;

/** Tells a handler that its attempt was cut off; the signal is made when somebody asks for it, which few handlers do. */
export class CutOff {
  private controller: AbortController | undefined;
  private reason: Error | undefined;

  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.reason) this.controller.abort(this.reason);
    }
    return this.controller.signal;
  }

  because(reason: Error): void {
    this.reason = reason;
    this.controller?.abort(reason);
  }
}
