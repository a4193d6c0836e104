import { NotAnEventError } from './errors';
import type { Backoff } from '../wait/backoff';
import type { EventClass, EventType } from './event-type';
import { OptionReader, show } from '../input/option-reader';

const EVENT_TYPE = Symbol.for('ReliableMq:EventType');

export interface ReliableEventOptions<T extends object = object> {
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
  /**
   * What people search an event by, such as the order's number: `key: (event: OrderCreated) => event.orderId`. 1 to 200 characters; null or
   * undefined for none. It is called when the event is recorded, with the event as its consumers will see it. Stored in the outbox and in
   * the inboxes, in clear and indexed: nothing that must not be read there.
   * @default no key
   */
  readonly key?: (event: T) => string | null | undefined;
}

/** Make a class an event: its instances are payloads, its class-validator decorators say which are valid. */
export function ReliableEvent(options: ReliableEventOptions & { readonly key?: undefined }): ClassDecorator;
export function ReliableEvent<T extends object>(options: ReliableEventOptions<T>): (target: EventClass<T>) => void;
export function ReliableEvent(options: ReliableEventOptions): ClassDecorator {
  return (target) => {
    const problems: string[] = [];
    const given = readOptions(options, problems);
    const eventType: EventType = {
      type: given.type,
      version: given.version ?? 1,
      eventClass: target as unknown as EventClass,
      consumers: Object.freeze([...(given.consumers ?? [])]),
      confirm: given.confirm ?? true,
      giveUp: Object.freeze({ ...given.giveUp }),
      ...(given.key && { key: given.key }),
      problems: Object.freeze(problems),
    };
    Reflect.defineMetadata(EVENT_TYPE, Object.freeze(eventType), target);
  };
}

/** What fits in an event type; the values are checked with it (EventTypes). The rest is a problem. */
function readOptions(options: ReliableEventOptions, problems: string[]): ReliableEventOptions {
  const reader = new OptionReader(options, '', problems);
  const values = {
    type: reader.raw('type'),
    version: reader.raw('version'),
    consumers: readConsumers(reader, problems),
    confirm: reader.raw('confirm'),
    giveUp: reader.raw('giveUp'),
    key: readKey(reader, problems),
  } as ReliableEventOptions;
  const giveUp = reader.group('giveUp');
  for (const key of ['maxAttempts', 'backoff']) giveUp.raw(key);
  giveUp.refuseUnknown();
  reader.refuseUnknown();
  return values;
}

function readKey(reader: OptionReader, problems: string[]): unknown {
  const key = reader.raw('key');
  if (key === undefined || typeof key === 'function') return key;
  problems.push(`key must be a function, got ${show(key)}: write key: (event) => event.orderId.`);
  return undefined;
}

function readConsumers(reader: OptionReader, problems: string[]): unknown {
  const consumers = reader.raw('consumers');
  if (consumers === undefined || Array.isArray(consumers)) return consumers;
  const one = typeof consumers === 'string' ? consumers : '…';
  problems.push(`consumers must be an array of names, got ${show(consumers)}: write consumers: ['${one}'].`);
  return undefined;
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
  if (!eventType) {
    const name = typeof eventClass === 'function' ? eventClass.name : '';
    throw new NotAnEventError(name || show(eventClass), where);
  }
  return eventType;
}
