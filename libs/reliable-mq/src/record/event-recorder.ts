import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import { type StoreSet, Stores } from '../database/stores';
import {
  InvalidEventError,
  InvalidSetupError,
  NotAnEventError,
  NoTransactionError,
  TransactionAbortedError,
} from '../event/errors';
import type { EventClass, EventType } from '../event/event-type';
import { CORRELATION_HEADER, inheritedFrom } from '../event/cause';
import { isUuid } from '../event/event-id';
import { EventTypes } from '../event/event-types';
import { HookRunner } from '../event/hook-runner';
import { type EventHeaders, headersAround } from '../event/message-headers';
import { eventTypeOf, findEventType } from '../event/reliable-event.decorator';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { IsolationLevel } from '../transaction/isolation-level';
import { type OpenLevel, TransactionContext } from '../transaction/transaction-context';
import { type CommonParts, newEvents } from './new-events';

/** What can't be an instance of an event class is refused by its type already. */
export type EventInstance<Event extends object> = Event extends
  | readonly unknown[]
  | ((...args: never[]) => unknown)
  | (abstract new (...args: never[]) => unknown)
  | PromiseLike<unknown>
  ? never
  : Event;

export interface RecordContext {
  /** Manager of an open transaction. Without it the transaction of the present call chain is taken. */
  readonly manager?: EntityManager;
  /** Headers of the message, for example a correlation id. Names beginning with `reliable-mq-` are the library's. */
  readonly headers?: EventHeaders;
  /** What people search the event by, in the place of what its class says (`key` of `@ReliableEvent`): 1 to 200 characters. */
  readonly key?: string;
  /**
   * Id of the event that this one follows from, where it is not the one that is being handled, or is one of several in a batch.
   * @default the event that is being handled, or compensated
   */
  readonly causationId?: string;
}

export interface TransactionOptions {
  /**
   * Name of the DataSource.
   * @default the first of the module's `dataSources`
   */
  readonly dataSource?: string;
  /** Isolation level of a transaction that is opened; one that is joined keeps its own. */
  readonly isolation?: IsolationLevel;
  /**
   * How often the method or function is run again, from its beginning and in a new transaction, when the database has rolled its transaction back
   * because of a deadlock or a serialization failure. Whatever it does beside the transaction is done again too. Nothing is run again in a transaction that
   * was joined: whoever opened it would have to begin it anew. 0 to 100.
   * @default 0
   */
  readonly retryOnDeadlock?: number;
}

/** Which transaction a function runs in: that of a manager, which is open already, or the present or a new one. */
export type TransactionChoice =
  | (TransactionOptions & { readonly manager?: never })
  | {
      readonly manager: EntityManager;
      readonly dataSource?: never;
      readonly isolation?: never;
      readonly retryOnDeadlock?: never;
    };

/** Records events in the caller's transaction: the row exists if and only if the business change does. */
@Injectable()
export class EventRecorder {
  /** Claim under which this process's rows are born. */
  private readonly token = randomUUID();

  constructor(
    private readonly stores: Stores,
    private readonly transactions: TransactionContext,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'record' | 'publish'>,
    private readonly eventTypes: EventTypes,
    private readonly hooks: HookRunner,
  ) {}

  /**
   * Record one event, an instance of a class with `@ReliableEvent`, in the present transaction.
   * @returns the event id, a UUIDv7
   * @throws NoTransactionError outside a transaction
   * @throws InvalidEventError naming each property that the class or JSON refuses; nothing was inserted
   * @throws PayloadTooLargeError above `record.maxPayloadBytes`
   * @throws NotAnEventError when the class has no `@ReliableEvent`, or is given itself
   * @throws TransactionAbortedError when a statement of a transaction that this library opened had failed before
   * @throws TransactionEndedError when the transaction's end, or the nested one's, has been decided
   */
  async record<Event extends object>(event: EventInstance<Event>, context: RecordContext = {}): Promise<string> {
    const [id] = await this.recordAll(typeOf(event, 'EventRecorder.record'), [event], context);
    return id as string;
  }

  /**
   * Record several payloads of one event class with one statement.
   * @returns the event ids, in the order of the payloads
   */
  async recordAll(
    eventType: EventType,
    payloads: readonly unknown[],
    context: RecordContext = {},
  ): Promise<readonly string[]> {
    if (payloads.length === 0) return [];
    const problems = this.eventTypes.add(eventType);
    if (problems.length > 0) throw new InvalidSetupError(problems);
    const open = context.manager
      ? this.transactionOf(context.manager, eventType.type)
      : this.presentTransaction(eventType.type);
    const { type, version } = eventType;
    const recorded = this.hooks.around('record', { type, version, count: payloads.length }, (surrounding) =>
      this.recordIn(open, eventType, payloads, context, surrounding),
    );
    return open.level.trackRecording(recorded);
  }

  /**
   * Run a function in the present transaction, or in a new one. Injected repositories and decorated methods take part. A new
   * transaction commits when the function's promise fulfils, and rolls back when it rejects.
   * @param options with `manager`, the function takes part in the open transaction of that manager, for example of a
   *   `QueryRunner` that is driven by hand; whoever opened it ends it
   * @throws NoTransactionError when that manager has no open transaction; the function was not called
   * @throws TransactionAbortedError when a statement had failed and the error was swallowed; nothing of it was stored
   * @throws TransactionEndedError when the present transaction's end has been decided; the function was not called
   */
  transaction<T>(work: () => Promise<T> | T, options: TransactionChoice = {}): Promise<T> {
    try {
      if ('manager' in options) return this.transactions.join(this.transactionOf(managerOf(options)), work);
      const set = options.dataSource === undefined ? this.stores.default : this.stores.byName(options.dataSource);
      return this.transactions.run(set.dataSource, options.isolation, work, options.retryOnDeadlock);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  /**
   * Run a function as in no transaction, for work that is started in one and goes on without it: a timer, a worker that is created when it is
   * first needed. Its repositories use connections of their own; events need a transaction of their own.
   */
  outside<T>(work: () => T): T {
    return this.transactions.outside(work);
  }

  private commonParts(
    eventType: EventType,
    { headers, key, causationId: chosen }: RecordContext,
    surrounding: EventHeaders | undefined,
  ): CommonParts {
    if (chosen !== undefined && !(typeof chosen === 'string' && isUuid(chosen))) {
      const problem = "must be an event's id (a UUID), such as context.eventId";
      throw new InvalidEventError(eventType.type, [{ property: 'causationId', problems: [problem] }]);
    }
    const own = headersAround(this.headersWith(headers), surrounding);
    const causes = this.transactions.causes();
    if (causes.length === 0) return { headers: own, key, causationId: chosen ?? null };
    const { causationId, correlationId } = inheritedFrom(causes, chosen);
    const isInherited = correlationId !== undefined && own?.[CORRELATION_HEADER] === undefined;
    return { headers: isInherited ? { ...own, [CORRELATION_HEADER]: correlationId } : own, key, causationId };
  }

  /** Those of `record.headers`, and over them those of the call. */
  private headersWith(own: EventHeaders | undefined): EventHeaders | undefined {
    const common: unknown = this.options.record.headers?.();
    if (common === undefined) return own;
    if (!isHeaders(common)) {
      throw new InvalidSetupError(['record.headers must return an object of headers, or undefined, and no promise.']);
    }
    return own ? { ...common, ...own } : common;
  }

  /** @param type of the event that is recorded in it, if one is */
  private transactionOf(manager: EntityManager, type?: string): Recording {
    const set = this.stores.of(dataSourceOf(manager));
    if (!set) {
      throw new InvalidSetupError([
        `${type === undefined ? 'events.transaction was called' : `Event "${type}" was recorded`} with the manager of a ` +
          "DataSource that is not one of ReliableMqModule's. " +
          'List it: ReliableMqModule.forRoot({ dataSources: […] }).',
      ]);
    }
    const { queryRunner } = manager;
    const open = queryRunner && this.transactions.levelOf(queryRunner, begun(type));
    if (!open || queryRunner.isReleased) throw new NoTransactionError(type);
    return { set, ...open };
  }

  private presentTransaction(type: string): Recording {
    const innermost = this.transactions.innermost();
    const set = (innermost && this.stores.of(innermost)) ?? this.stores.default;
    const open = this.transactions.current(set.dataSource, begun(type));
    if (!open) throw new NoTransactionError(type);
    return { set, ...open };
  }

  private async recordIn(
    { set, guard, level }: Recording,
    eventType: EventType,
    payloads: readonly unknown[],
    context: RecordContext,
    surrounding: EventHeaders | undefined,
  ): Promise<readonly string[]> {
    const common = this.commonParts(eventType, context, surrounding);
    const made = newEvents(eventType, payloads, common, this.token, this.options.record.maxPayloadBytes);
    const events = Array.isArray(made) ? made : await made;
    const { queryRunner } = guard;
    guard.assertAlive(begun(eventType.type));
    try {
      // The end waits for it if it is decided meanwhile.
      await level.run(() =>
        guard.runBegun(level, () =>
          set.outbox.insert(queryRunner.manager, events, this.token, this.options.publish.leaseMs),
        ),
      );
    } catch (error) {
      const isAborted = this.transactions.isOwn(queryRunner) && set.database.failureOf(error) === 'consequence';
      throw isAborted ? abortedBefore(eventType.type, error) : error;
    }
    level.events.push(...events);
    for (const { id, type } of events) this.hooks.run('recorded', { eventId: id, type });
    return events.map(({ id }) => id);
  }
}

interface Recording extends OpenLevel {
  readonly set: StoreSet;
}

function begun(type: string | undefined): string {
  return type === undefined ? 'A transaction was joined' : `Event "${type}" was recorded`;
}

/**
 * The event type of a value, which plain JavaScript may have given in the place of an event.
 * @throws NotAnEventError
 */
function typeOf(event: object, where: string): EventType {
  if (typeof event === 'function') {
    const eventClass = event as EventClass;
    if (findEventType(eventClass)) throw new NotAnEventError(eventClass.name, where, 'class');
    return eventTypeOf(eventClass, where);
  }
  // Of the prototype: a plain object may have a property of that name.
  const prototype = Object.getPrototypeOf(Object(event ?? Object.create(null))) as object | null;
  if (prototype === Object.prototype) throw new NotAnEventError('a plain object', where, 'plain');
  return eventTypeOf((prototype?.constructor ?? event) as EventClass, where);
}

function isHeaders(value: unknown): value is EventHeaders {
  return typeof value === 'object' && value !== null && !('then' in value);
}

/** TypeScript refuses both of these; JavaScript would have options ignored, and a transaction opened beside the one that was meant. */
function managerOf({ manager, dataSource, isolation, retryOnDeadlock }: TransactionChoice): EntityManager {
  if (!manager) {
    throw new InvalidSetupError([
      'events.transaction was called with a manager that is undefined. Leave it out to have a transaction opened.',
    ]);
  }
  const given = Object.entries({ dataSource, isolation, retryOnDeadlock }).filter(([, value]) => value !== undefined);
  if (given.length > 0) {
    const names = given.map(([name]) => name).join(' and ');
    throw new InvalidSetupError([
      `events.transaction was called with manager and with ${names}: the transaction of a manager is open already, in its ` +
        `DataSource and with its isolation, and whoever opened it ends it. Leave out ${names}, or leave the manager out to have a transaction opened.`,
    ]);
  }
  return manager;
}

/** What the commit would have said. */
function abortedBefore(type: string, cause: unknown): TransactionAbortedError {
  const why = `one of its statements had failed before event "${type}" was recorded, and the error was swallowed`;
  return new TransactionAbortedError(why, { cause });
}
