import type { Backoff } from '../wait/backoff';

/** A class whose instances are an event's payload. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a constructor of any signature; nothing calls it with arguments
export type EventClass<T extends object = object> = new (...args: any[]) => T;

/** When the producer gives an event up, and how fast it tries before. */
export interface GiveUpPolicy {
  /** Attempts (publishing refused, returned, or no receipt in time) after which the event ends `dead`. Outages do not count. */
  readonly maxAttempts: number;
  readonly backoff: Backoff;
}

/** What `@ReliableEvent` says of a class. */
export interface EventType<T extends object = object> {
  readonly type: string;
  readonly version: number;
  readonly eventClass: EventClass<T>;
  /** Consumers that must each report `handled`; empty: the first `handled` ends the event. */
  readonly consumers: readonly string[];
  /** Whether receipts are expected. `false`: the event ends when it is published. */
  readonly confirm: boolean;
  readonly giveUp: { readonly maxAttempts?: number; readonly backoff?: Partial<Backoff> };
  /** What people search an event by, made of its payload. */
  key?(event: T): string | null | undefined;
  /** What `@ReliableEvent` was given that is none of the above, each a full sentence without the class's name. */
  readonly problems?: readonly string[];
}

/** `order.created` version 1 → `order.created@1`; how messages for people name an event type. */
export function eventTypeLabel(event: Pick<EventType, 'type' | 'version'>): string {
  return `${event.type}@${event.version}`;
}

/** Words of letters, digits, `_` and `-`, joined by dots: it becomes a routing key and a part of queue names. */
export const EVENT_TYPE_PATTERN = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
export const EVENT_TYPE_MAX_LENGTH = 120;
/** A consumer or service name has the same form, and `<consumer>.<type>` must fit AMQP's 255 bytes. */
export const CONSUMER_PATTERN = EVENT_TYPE_PATTERN;
export const CONSUMER_MAX_LENGTH = 100;
