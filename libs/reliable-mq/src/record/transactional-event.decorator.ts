import { Inject, Optional } from '@nestjs/common';
import { InvalidSetupError } from '../event/errors';
import type { EventClass, EventType } from '../event/event-type';
import { copyMetadata } from '../event/copy-metadata';
import type { EventHeaders } from '../event/message-headers';
import { EventRecorder, type TransactionOptions } from './event-recorder';
import { eventTypeOf } from '../event/reliable-event.decorator';

/** One payload, several, or none. */
export type MappedPayloads<T> = T | readonly T[] | null | undefined;

/** From the method's result and arguments to the payload; a plain object becomes an instance of the event class. */
export type EventMapper<Event extends object, Result, Args extends readonly unknown[]> = (
  result: Result,
  ...args: Args
) => MappedPayloads<Event> | Promise<MappedPayloads<Event>>;

export interface TransactionalEventOptions<
  Args extends readonly unknown[] = readonly never[],
> extends TransactionOptions {
  /** Headers of the message, made from the method's arguments. */
  readonly headers?: (...args: Args) => EventHeaders | undefined;
}

const RECORDER = Symbol.for('ReliableMq:EventRecorder');
const RECORDED = Symbol.for('ReliableMq:RecordedEvents');

/** What the decorator leaves on a method; one per decorator. */
export interface RecordedEvent {
  readonly eventType: EventType;
  readonly options: TransactionalEventOptions;
}

/** What a method records by its decorators. */
export function recordedBy(method: object): readonly RecordedEvent[] {
  return (Reflect.getMetadata(RECORDED, method) as RecordedEvent[] | undefined) ?? [];
}

/** Whether Nest has given the instance what its decorated methods need. */
export function canRecord(instance: object): boolean {
  return (instance as { [RECORDER]?: EventRecorder })[RECORDER] !== undefined;
}

/** What to do when it has not. */
export const CANNOT_RECORD =
  'has no EventRecorder. Import ReliableMqModule.forRoot(…) with its producer half where the class is provided, and let Nest ' +
  'create the class (not useFactory or useValue).';

/**
 * Run the method in a transaction (the caller's, or a new one) and record an event in it when the method returns.
 * Injected repositories take part. When the mapper, the validation or the insert fails, the transaction rolls back, so the
 * business change and the event are stored together or not at all.
 * @param eventClass class with `@ReliableEvent`
 * @param mapper makes the payload; left out: the method's result is the payload
 */
export function TransactionalEvent<
  Event extends object,
  Result,
  Args extends readonly unknown[],
  HeaderArgs extends readonly unknown[] = Args,
>(
  eventClass: EventClass<Event>,
  mapper?: EventMapper<Event, Result, Args>,
  options: TransactionalEventOptions<HeaderArgs> = {},
): <Method extends (...args: never[]) => Promise<Result>>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void {
  return (target, name, descriptor) => {
    const where = `${(typeof target === 'function' ? target : target.constructor).name}#${String(name)}`;
    const original = descriptor.value as unknown as (...args: unknown[]) => Promise<Result>;
    if (typeof original !== 'function' || typeof target === 'function')
      throw new InvalidSetupError([`@TransactionalEvent on ${where}: it is not a method of an instance.`]);
    const eventType = eventTypeOf(eventClass, `@TransactionalEvent on ${where}`);

    if (!Object.prototype.hasOwnProperty.call(target, RECORDER)) {
      Object.defineProperty(target, RECORDER, { value: undefined, writable: true, configurable: true });
      Optional()(target, RECORDER);
      Inject(EventRecorder)(target, RECORDER);
    }

    const transactional = new Proxy(original, {
      apply: (method, self: object, args: unknown[]): Promise<Result> => {
        const recorder = (self as { [RECORDER]?: EventRecorder } | undefined)?.[RECORDER];
        if (!recorder) {
          const problem = `@TransactionalEvent on ${where}: its class ${CANNOT_RECORD}`;
          return Promise.reject(new InvalidSetupError([problem]));
        }
        return recorder.transaction(async () => {
          const result = await Reflect.apply(method, self, args);
          const mapped = mapper
            ? await Reflect.apply(mapper, self, [result, ...(args as unknown as Args)])
            : (result as MappedPayloads<Event>);
          const payloads =
            mapped === null || mapped === undefined
              ? []
              : Array.isArray(mapped)
                ? (mapped as readonly unknown[])
                : [mapped];
          const headers = options.headers?.(...(args as unknown as HeaderArgs));
          await recorder.recordAll(eventType, payloads, headers ? { headers } : {});
          return result;
        }, options);
      },
    });
    copyMetadata(original, transactional);
    Reflect.defineMetadata(RECORDED, [...recordedBy(original), { eventType, options }], transactional);
    descriptor.value = transactional as never;
  };
}
