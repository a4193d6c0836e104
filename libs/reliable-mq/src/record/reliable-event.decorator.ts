import { NotAnEventError } from '../domain/errors';
import type { Backoff } from '../domain/backoff';
import type { EventClass, EventType } from '../domain/event-type';

const EVENT_TYPE = Symbol('ReliableMq:EventType');

export interface ReliableEventOptions {
  /** The event's name on the wire and its routing key, for example `order.created`. */
  readonly type: string;
  /**
   * Version of the payload's form, from 1. Two classes may share a type if their versions differ.
   * @default 1
   */
  readonly version?: number;
  /**
   * Consumers that must each report `handled` before the event ends `consumed`. Without it the first to report ends it.
   * @default []
   */
  readonly consumers?: readonly string[];
  /**
   * `false`: nobody reports; the event ends when the broker has confirmed and routed it.
   * @default true
   */
  readonly confirm?: boolean;
  /** When the producer gives this event type up; what is left out comes from the module's `publish` options. */
  readonly giveUp?: { readonly maxAttempts?: number; readonly backoff?: Partial<Backoff> };
}

/** Make a class an event: its instances are payloads, its class-validator decorators say which are valid. */
export function ReliableEvent(options: ReliableEventOptions): ClassDecorator {
  return (target) => {
    const eventType: EventType = {
      type: options.type,
      version: options.version ?? 1,
      eventClass: target as unknown as EventClass,
      consumers: Object.freeze([...(options.consumers ?? [])]),
      confirm: options.confirm ?? true,
      giveUp: Object.freeze({ ...options.giveUp }),
    };
    Reflect.defineMetadata(EVENT_TYPE, Object.freeze(eventType), target);
  };
}

/** What `@ReliableEvent` says of the class itself; a subclass must be decorated on its own. */
export function findEventType<T extends object>(eventClass: EventClass<T>): EventType<T> | undefined {
  return Reflect.getOwnMetadata(EVENT_TYPE, eventClass) as EventType<T> | undefined;
}

/**
 * @param where who asks, for the message: `EventRecorder.record`, `OrderService#place`
 * @throws NotAnEventError
 */
export function eventTypeOf<T extends object>(eventClass: EventClass<T>, where: string): EventType<T> {
  const eventType = typeof eventClass === 'function' ? findEventType(eventClass) : undefined;
  if (!eventType)
    throw new NotAnEventError(typeof eventClass === 'function' ? eventClass.name : String(eventClass), where);
  return eventType;
}
