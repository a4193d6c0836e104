import { messageText } from '../log/describe-error';

export { describeError, remarkOn } from '../log/describe-error';

/** Causes of causes that are looked at. */
const MAX_CAUSES = 5;

/** An error, and what has caused it: applications wrap what they catch. */
export function causesOf(error: unknown): readonly unknown[] {
  const causes = [error];
  for (let each = error; each instanceof Error && causes.length <= MAX_CAUSES; causes.push(each)) each = each.cause;
  return causes;
}

/** Characters of a statement in a message. */
const MAX_STATEMENT_LENGTH = 120;

/**
 * Every error this library throws on purpose. `code` is stable and meant for programs, `message` for people: what went
 * wrong, which ids, what to do. `details` carries the ids and numbers of the message.
 */
export class ReliableMqError extends Error {
  constructor(
    readonly code: ReliableMqErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>> = {},
    options: { cause?: unknown } = {},
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

export type ReliableMqErrorCode =
  | 'INVALID_OPTIONS'
  | 'INVALID_SETUP'
  | 'NO_TRANSACTION'
  | 'TRANSACTION_ABORTED'
  | 'TRANSACTION_ENDED'
  | 'TRANSACTION_BUSY'
  | 'IMPLICIT_COMMIT'
  | 'INVALID_EVENT'
  | 'PAYLOAD_TOO_LARGE'
  | 'NOT_AN_EVENT'
  | 'SCHEMA_MISSING'
  | 'UNSUPPORTED_DATABASE'
  | 'EVENT_NOT_FOUND'
  | 'EVENT_NOT_DEAD'
  | 'HANDLER_TIMEOUT'
  | 'TRANSPORT';

/** Options that cannot work. `problems` lists every one of them, each as a full sentence. */
export class InvalidOptionsError extends ReliableMqError {
  constructor(readonly problems: readonly string[]) {
    super(
      'INVALID_OPTIONS',
      `ReliableMqModule cannot start, its options have ${problems.length} problem(s):\n` +
        problems.map((problem) => `  - ${problem}`).join('\n'),
      { problems },
    );
  }
}

/** Decorators, providers or DataSources that do not fit together; found at boot where possible, with class and method. */
export class InvalidSetupError extends ReliableMqError {
  constructor(readonly problems: readonly string[]) {
    super(
      'INVALID_SETUP',
      `nestjs-reliable-mq is not set up correctly, ${problems.length} problem(s):\n` +
        problems.map((problem) => `  - ${problem}`).join('\n'),
      { problems },
    );
  }
}

/** An event was recorded outside any transaction, so it could not be atomic with the business change. */
export class NoTransactionError extends ReliableMqError {
  /** @param type of the event; left out: none was recorded yet, a manager without an open transaction was given */
  constructor(type?: string) {
    super(
      'NO_TRANSACTION',
      type === undefined
        ? 'The manager that was given to events.transaction(…) has no open transaction. Begin it first, for example with ' +
            'queryRunner.startTransaction(), or leave the manager out to have one opened.'
        : `Event "${type}" was recorded outside a transaction. Record it inside a method decorated with @TransactionalEvent, ` +
            'inside events.transaction(() => …) or dataSource.transaction(…), or pass the manager of an open transaction: ' +
            'events.record(event, { manager }).',
      type === undefined ? {} : { type },
    );
  }
}

/** The transaction could not commit: a statement had failed and its error was ignored, or a nested transaction was left open. */
export class TransactionAbortedError extends ReliableMqError {
  constructor(why = 'one of its statements had failed and the error was swallowed', options: { cause?: unknown } = {}) {
    super(
      'TRANSACTION_ABORTED',
      `The transaction was rolled back instead of committed, because ${why}. ` +
        'Nothing of it was stored. Let the error through, or run the statement that may fail in a nested transaction.',
      {},
      options,
    );
  }
}

/**
 * Something was begun in a transaction, or in a nested one, after its end (commit or rollback) had been decided, or after a statement had committed
 * it, as DDL does on MySQL and MariaDB. It was refused: behind the end it would have been stored by itself.
 */
export class TransactionEndedError extends ReliableMqError {
  /**
   * @param what was begun, as the beginning of a sentence
   * @param committedBy the statement that has committed the transaction without being told to
   */
  constructor(what: string, committedBy?: string) {
    super(
      'TRANSACTION_ENDED',
      committedBy === undefined
        ? `${what} after the end of its transaction had been decided, so it was refused. Await all that the transaction's ` +
            'function starts before the function returns or throws: Promise.allSettled waits for every branch, Promise.all ' +
            'does not. Run what is meant to go on without the transaction in events.outside(() => …).'
        : `${what} after its transaction had been committed by a statement of its own, so it was refused: ${beginningOf(committedBy)}. ` +
            'MySQL and MariaDB commit the open transaction when they get DDL (CREATE, ALTER, DROP, TRUNCATE, …). What came before it is ' +
            'committed; what follows would be, statement by statement. Run such statements outside of transactions, for example in a migration.',
      committedBy === undefined ? {} : { committedBy: beginningOf(committedBy) },
    );
  }
}

/**
 * A handler, or a compensation handler, was about to run a statement by which MySQL and MariaDB commit the open transaction. It was not sent: its inbox
 * row would say that the event is handled while the handler still runs.
 */
export class ImplicitCommitError extends ReliableMqError {
  constructor(sql: string) {
    const statement = beginningOf(sql);
    super(
      'IMPLICIT_COMMIT',
      `A handler was about to commit its transaction before its end, so the statement was not sent: ${statement}. MySQL and MariaDB commit ` +
        'the open transaction when they get DDL (CREATE, ALTER, DROP, TRUNCATE, …). Run it on a connection of its own, by ' +
        'events.outside(() => dataSource.query(…)), or before the application starts, in a migration.',
      { statement },
    );
  }
}

/** Statements may be long. */
function beginningOf(sql: string): string {
  const text = sql.trim().replace(/\s+/g, ' ');
  return text.length > MAX_STATEMENT_LENGTH ? `${text.slice(0, MAX_STATEMENT_LENGTH)} …` : text;
}

/** A statement had to wait too long for a nested transaction that another branch has open on the same connection. */
export class TransactionBusyError extends ReliableMqError {
  constructor(waitedMs: number) {
    super(
      'TRANSACTION_BUSY',
      `A statement waited ${waitedMs} ms for a nested transaction that another branch of the same transaction has open, ` +
        'and was not sent: it would be undone with it. Let nested transactions not wait for what runs beside them. Inside ' +
        'of one this says that AsyncLocalStorage was lost on the way, in a limiter or a callback: bind it with AsyncResource.bind.',
      { waitedMs },
    );
  }
}

/** One property of a payload and why it was refused. */
export interface InvalidProperty {
  /** Path from the payload's root, for example `lines[2].quantity`. */
  readonly property: string;
  readonly problems: readonly string[];
}

/** A payload that its event class, or JSON, does not allow. Thrown before the insert; the transaction rolls back. */
export class InvalidEventError extends ReliableMqError {
  constructor(
    type: string,
    readonly properties: readonly InvalidProperty[],
    options: { cause?: unknown } = {},
  ) {
    super(
      'INVALID_EVENT',
      `Event "${type}" is invalid and was not recorded: ` +
        properties.map(({ property, problems }) => `${property}: ${problems.join(', ')}`).join('; '),
      { type, properties },
      options,
    );
  }
}

/** A payload above `record.maxPayloadBytes`. */
export class PayloadTooLargeError extends ReliableMqError {
  constructor(type: string, bytes: number, maxBytes: number) {
    super(
      'PAYLOAD_TOO_LARGE',
      `Event "${type}" has a payload of ${bytes} bytes, more than record.maxPayloadBytes (${maxBytes}). ` +
        'Store large content elsewhere and send a reference to it, or raise the option.',
      { type, bytes, maxBytes },
    );
  }
}

/** A value was recorded whose class has no `@ReliableEvent`. */
export class NotAnEventError extends ReliableMqError {
  /** @param given what was given in the place of an instance: the event class itself, a plain object, or something else */
  constructor(className: string, where: string, given: 'class' | 'plain' | 'other' = 'other') {
    const problem = {
      class: `the class ${className} itself, pass an instance: new ${className}(…).`,
      plain: `${className}, which does not say which event it is. Pass an instance: Object.assign(new OrderCreated(), { … }).`,
      other: `${className}, which is not decorated with @ReliableEvent({ type: '…' }).`,
    }[given];
    super('NOT_AN_EVENT', `${where} got ${problem}`, { className });
  }
}

/** The tables are missing or older than this version of the library needs. */
export class SchemaMissingError extends ReliableMqError {}

/** The DataSource's driver has no store here. */
export class UnsupportedDatabaseError extends ReliableMqError {
  constructor(driver: string, dataSource: string, supported: readonly string[]) {
    super(
      'UNSUPPORTED_DATABASE',
      `DataSource "${dataSource}" uses "${driver}", which is not supported. Supported: ${supported.join(', ')}.`,
      { driver, dataSource },
    );
  }
}

/** An operator asked for an event id that is not in the outbox. */
export class EventNotFoundError extends ReliableMqError {
  constructor(eventId: string) {
    super('EVENT_NOT_FOUND', `There is no event ${eventId} in the outbox. It may have been pruned already.`, {
      eventId,
    });
  }
}

/** An event was to be replaced by an edited one, and is not dead, or must not be replaced. It was left as it is. */
export class EventNotDeadError extends ReliableMqError {
  /** @param why it was left out, for people */
  constructor(eventId: string, why: string) {
    super('EVENT_NOT_DEAD', `Event ${eventId} was not replaced: ${why}.`, { eventId, why });
  }
}

/** A handler attempt ran longer than its `timeoutMs`; its transaction was rolled back. */
export class HandlerTimeoutError extends ReliableMqError {
  /** @param waiting callers that wait for a connection of the handler's DataSource at this moment */
  constructor(consumer: string, eventId: string, timeoutMs: number, waiting = 0) {
    super(
      'HANDLER_TIMEOUT',
      `Handler "${consumer}" did not finish event ${eventId} within ${timeoutMs} ms; its transaction was rolled back.` +
        (waiting > 0
          ? ` The connection pool was exhausted, ${waiting} caller(s) waited for a connection: raise the DataSource's poolSize, or lower prefetch.`
          : ''),
      { consumer, eventId, timeoutMs, waiting },
    );
  }
}

/** How a copy of this package knows the errors of another: both may be installed, as when contracts come as a package of their own. */
const REJECT_EVENT = Symbol.for('nestjs-reliable-mq:RejectEvent');

/**
 * Thrown by a handler that knows the event can never be handled: no retry follows, the producer is told `rejected` and
 * runs its compensation handler.
 */
export class RejectEvent extends Error {
  readonly reason: string;

  constructor(reason: string, options: { cause?: unknown } = {}) {
    // Callers without types pass anything.
    const text = messageText(reason);
    super(text, options);
    this.name = 'RejectEvent';
    this.reason = text;
    Object.defineProperty(this, REJECT_EVENT, { value: true });
  }
}

/** Whether a handler has rejected the event; also with the class of another copy of this package, of any version. */
export function isRejectEvent(error: unknown): error is RejectEvent {
  try {
    if (error instanceof RejectEvent) return true;
    if (typeof error !== 'object' || error === null) return false;
    const { name, reason } = error as { readonly name?: unknown; readonly reason?: unknown };
    return REJECT_EVENT in error || (name === 'RejectEvent' && typeof reason === 'string');
  } catch {
    return false; // it throws when it is looked at
  }
}
