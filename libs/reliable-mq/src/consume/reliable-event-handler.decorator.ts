import type { Backoff } from '../wait/backoff';
import type { EventClass } from '../event/event-type';

export interface ReliableEventHandlerOptions {
  /**
   * Stable name of the handler's group: half of the inbox key, and the prefix of its queue. A second handler of one event type
   * in one service must name its own.
   * @default the module's `service`
   */
  readonly consumer?: string;
  /**
   * Messages held, and handled at once, per instance.
   * @default `consume.prefetch`
   */
  readonly prefetch?: number;
  /**
   * Longest time of one attempt, in milliseconds.
   * @default `consume.timeoutMs`
   */
  readonly timeoutMs?: number;
  /**
   * Attempts before the event is dead for this consumer.
   * @default `consume.maxAttempts`
   */
  readonly maxAttempts?: number;
  /**
   * Delays between attempts; what is left out comes from `consume.backoff`.
   * @default `consume.backoff`
   */
  readonly backoff?: Partial<Backoff>;
  /**
   * Name of the DataSource that has the inbox, and whose transaction the handler runs in. The same for every version that the
   * consumer handles of an event type: they share a queue.
   * @default the first of the module's `dataSources`
   */
  readonly dataSource?: string;
  /**
   * Handle messages that arrive together one after another in one transaction, each in a savepoint of its own, with one
   * COMMIT for all, which saves each message its own BEGIN, inbox INSERT and COMMIT. A message that fails is rolled back
   * to its savepoint and retried by itself; what spoils the whole transaction costs its neighbours a second run, and no attempt.
   *
   * For short handlers with a few statements. Do not use it for a handler that
   * - waits for anything but the database: its neighbours wait with it, and its locks are held until the common COMMIT
   * - locks rows that other transactions lock in another order: each message's locks are kept while the next one runs, so
   *   two instances can deadlock where single messages would not
   * - uses what lasts until the end of a transaction: `SET LOCAL`, `ON COMMIT`, advisory transaction locks, `now()`
   *   (the same for all; `clock_timestamp()` is not), or SQL that begins or ends transactions
   * - leaves work behind that nobody awaits: it would run in the next message's savepoint
   * - has effects outside the database that a second run would repeat more often than it can bear
   * @default false
   */
  readonly shareCommits?: boolean;
}

/** What the decorator leaves on a method; one per event class. */
export interface HandlerMetadata {
  readonly eventClass: EventClass;
  readonly options: ReliableEventHandlerOptions;
}

const HANDLERS = Symbol.for('ReliableMq:Handlers');

/** Where Nest's external context finds the handler's parameters, so that pipes see the payload: type 3 is a body. */
export const HANDLER_ARGUMENTS = '__reliableMqHandlerArguments__';
export const PAYLOAD_ARGUMENT = 3;
export const CONTEXT_ARGUMENT = 4;

/**
 * Handle an event once: the method runs in one transaction with its inbox row, and the message is acknowledged after the
 * commit. First parameter the event, second an EventContext. Guards, interceptors, pipes and filters apply.
 */
export function ReliableEventHandler(
  eventClass: EventClass,
  options: ReliableEventHandlerOptions = {},
): MethodDecorator {
  return (target, name, descriptor) => {
    const method = descriptor.value as unknown as object;
    const handlers = (Reflect.getOwnMetadata(HANDLERS, method) as HandlerMetadata[] | undefined) ?? [];
    Reflect.defineMetadata(HANDLERS, [...handlers, { eventClass, options: { ...options } }], method);
    Reflect.defineMetadata(
      HANDLER_ARGUMENTS,
      {
        [`${PAYLOAD_ARGUMENT}:0`]: { index: 0, data: undefined, pipes: [] },
        [`${CONTEXT_ARGUMENT}:1`]: { index: 1, data: undefined, pipes: [] },
      },
      target.constructor,
      name,
    );
  };
}

/** The handlers that a method declares; it may handle several event classes. */
export function handlersOf(method: object): readonly HandlerMetadata[] {
  return (Reflect.getMetadata(HANDLERS, method) as HandlerMetadata[] | undefined) ?? [];
}
