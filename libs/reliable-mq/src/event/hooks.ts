import type { ConsumerOutcome } from './outcome';

/** Which event a hook speaks of. */
export interface EventRef {
  readonly eventId: string;
  readonly type: string;
}

/** Which attempt of which consumer a hook speaks of. */
export interface HandlingRef extends EventRef {
  readonly consumer: string;
  readonly attempt: number;
}

export type JobName = 'publish' | 'chase' | 'compensate' | 'retry' | 'prune-outbox' | 'prune-inbox';

/**
 * The steps of an event's way, in order, with what each tells. Metrics, tracing, alerts and the fault harness build on it.
 * Functions are called synchronously at the step; what they throw is logged and changes nothing.
 */
export interface Hooks {
  /** The event's row is in the transaction, which is still open. */
  recorded(event: EventRef): void;
  /** The outermost transaction committed, with these events in it. */
  committed(events: readonly EventRef[]): void;
  /** About to hand the message to the broker. */
  publishing(event: EventRef & { readonly attempt: number }): void;
  /** The message is on its way; the broker has not answered yet. */
  sent(event: EventRef): void;
  /** The broker answered, or the attempt ended otherwise; not settled in the outbox yet. */
  confirmed(
    event: EventRef & {
      readonly outcome: 'routed' | 'unroutable' | 'refused' | 'unavailable';
      readonly reason?: string;
    },
  ): void;
  /** The outcomes of publishing are about to be written. */
  settling(settle: { readonly count: number }): void;
  /** The outcomes of publishing were written. */
  settled(settle: { readonly count: number }): void;
  /** A settle found another claim on the row, or none: the lease had run out. The other claim's outcome stands. */
  settleLost(event: { readonly eventId: string }): void;
  /** An event was not kept in memory after its commit (buffer full, broker gone): the compensation task publishes it. */
  deferred(event: EventRef & { readonly reason: string }): void;

  /** A message came from the broker. */
  received(message: {
    readonly queue: string;
    /** Whose queue it is, and what for; the message itself may say something else. */
    readonly consumer: string;
    readonly type: string;
    readonly messageId: string | undefined;
    readonly redelivered: boolean;
  }): void;
  /** A handler attempt begins. */
  handling(handling: HandlingRef): void;
  /** The handler returned; its transaction is still open. */
  handlerReturned(handling: HandlingRef): void;
  /** The handler's transaction committed; the message is not acknowledged yet. */
  handled(handling: HandlingRef & { readonly durationMs: number }): void;
  /** The handler failed; retried at `retryInMs`, or given up when that is null. */
  handlingFailed(
    handling: HandlingRef & {
      readonly reason: string;
      /** Where the application threw: `StockService.deduct (stock.service.ts:41)`. */
      readonly where?: string;
      readonly retryInMs: number | null;
      readonly outcome: ConsumerOutcome;
    },
  ): void;
  /** The message had been handled before. */
  duplicate(event: EventRef & { readonly consumer: string }): void;
  /** A message that no handler can take was put aside with its bytes. */
  parked(message: {
    readonly queue: string;
    readonly consumer: string;
    readonly messageId: string | undefined;
    readonly reason: string;
  }): void;
  /**
   * The broker had taken the message out of a consumer's queue by itself, which only a policy of its operator makes it do, or a program that
   * rejected it. It is with the inbox now: handled from there, or parked. `reason` in the broker's word: `expired`, `delivery_limit`,
   * `maxlen`, `rejected`.
   */
  deadLettered(message: {
    readonly queue: string;
    readonly consumer: string;
    readonly messageId: string | undefined;
    readonly reason: string;
  }): void;
  /** The message was acknowledged to the broker. */
  acknowledged(message: {
    readonly queue: string;
    readonly consumer: string;
    readonly type: string;
    readonly messageId: string | undefined;
  }): void;

  /** A message of receipts is about to be sent. */
  receiptsSending(receipts: { readonly to: string; readonly count: number }): void;
  /** A message of receipts was handed to the socket (`sent: false`: the broker takes nothing at present; they are kept, and tried again). */
  receiptsSent(receipts: { readonly to: string; readonly count: number; readonly sent: boolean }): void;
  /** Receipts arrived and are about to be written. */
  receiptsReceived(receipts: { readonly count: number }): void;
  /** Receipts were written; not acknowledged yet. `unknown`: so many of them are about events that the outbox does not hold. */
  receiptsApplied(receipts: { readonly count: number; readonly unknown?: number }): void;
  /** Every declared consumer has handled the event. */
  consumed(event: { readonly eventId: string }): void;
  /** A consumer reported a final outcome after the event had ended otherwise. */
  lateOutcome(event: { readonly eventId: string; readonly consumer: string; readonly outcome: ConsumerOutcome }): void;
  /** The event ended `dead`. Somebody should know: alert on this one. */
  dead(event: EventRef & { readonly reason: string }): void;

  /** A compensation handler begins. */
  compensating(event: EventRef & { readonly attempt: number }): void;
  /** The compensation handler returned; its transaction is still open. */
  compensationReturned(event: EventRef): void;
  /** The compensation handler's transaction committed. */
  compensated(event: EventRef): void;
  /** The compensation handler failed; tried again after `retryInMs`. */
  compensationFailed(
    event: EventRef & { readonly attempt: number; readonly reason: string; readonly retryInMs: number },
  ): void;

  /** A job of the compensation task begins. */
  jobStarted(job: { readonly job: JobName; readonly dataSource: string }): void;
  /**
   * A job has claimed (or deleted) a batch. `overdueMs`: how long the claimed row that had waited longest had been due, in
   * milliseconds of the database's clock; the compensation task's lag. Without it: rows were deleted.
   */
  jobBatch(job: {
    readonly job: JobName;
    readonly dataSource: string;
    readonly count: number;
    readonly overdueMs?: number;
  }): void;
  /** A job of the compensation task ended. */
  jobFinished(job: {
    readonly job: JobName;
    readonly dataSource: string;
    readonly count: number;
    readonly durationMs: number;
    readonly error?: string;
  }): void;
  /** The transport's availability changed. */
  transportChanged(status: { readonly available: boolean; readonly reason?: string }): void;
}
