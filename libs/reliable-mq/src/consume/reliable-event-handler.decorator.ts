import type { Backoff } from '../wait/backoff';
import type { DecoratorOf } from '../event/decorated-method';
import type { EventClass } from '../event/event-type';
import type { BatchContext, EventContext } from './event-context';

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
}

export interface BatchHandlerOptions extends ReliableEventHandlerOptions {
  /**
   * Take several events at once: the method gets an array of them and a `BatchContext`, in one transaction with all their inbox rows
   * and one COMMIT. For handlers that do the same to many events with one statement, such as an UPDATE over a list. If it fails, for
   * whatever reason, its events are handled one by one, each as a batch of one in a transaction of its own; so are retries, and what the
   * broker delivers again. `timeoutMs` holds for each run. Up to `prefetch / size` runs work at once.
   */
  readonly batch: BatchOptions;
}

export interface BatchOptions {
  /** Most events of one run; not above `prefetch`. A larger batch costs less per event, and more when it fails. */
  readonly size: number;
  /**
   * How long a run waits until as many events are there, in milliseconds. Too low makes small batches, too high is waiting.
   * @default 20
   */
  readonly waitMs?: number;
}

/** What the decorator leaves on a method; one per event class. */
export interface HandlerMetadata {
  readonly eventClass: EventClass;
  readonly options: ReliableEventHandlerOptions & Partial<BatchHandlerOptions>;
}

const HANDLERS = Symbol.for('ReliableMq:Handlers');

/** Where Nest's external context finds the handler's parameters, so that pipes see the payload: type 3 is a body. */
export const HANDLER_ARGUMENTS = '__reliableMqHandlerArguments__';
export const PAYLOAD_ARGUMENT = 3;
export const CONTEXT_ARGUMENT = 4;

/**
 * Handle an event once: the method runs in one transaction with its inbox row, and the message is acknowledged after the
 * commit. First parameter the event (with `batch` an array of them), second an EventContext (a BatchContext). Guards, interceptors, pipes
 * and filters apply.
 */
export function ReliableEventHandler<T extends object>(
  eventClass: EventClass<T>,
  options: BatchHandlerOptions,
): DecoratorOf<[events: T[], context: BatchContext]>;
export function ReliableEventHandler<T extends object>(
  eventClass: EventClass<T>,
  options?: ReliableEventHandlerOptions,
): DecoratorOf<[event: T, context: EventContext]>;
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
