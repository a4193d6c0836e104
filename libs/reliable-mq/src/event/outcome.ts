/** What a consumer reports of an event: the four kinds of a receipt. */
export type ConsumerOutcome = 'handled' | 'retrying' | 'rejected' | 'dead';

/** An outcome after which the consumer does nothing more with the event. */
export type FinalOutcome = Exclude<ConsumerOutcome, 'retrying'>;

/** One consumer's latest word on an event, as the producer knows it. */
export interface ReportedOutcome {
  readonly consumer: string;
  readonly outcome: ConsumerOutcome;
  /** Why, for every outcome but `handled`. */
  readonly reason: string | null;
  /** When the producer's database stored it, ISO 8601. */
  readonly at: string;
  /** Where the application threw: `StockService.deduct (stock.service.ts:41)`; left out where that is not known. */
  readonly where?: string | undefined;
}

/** What a `@Compensate` method learns about the event that could not be consumed. A class, so that it can stand in a decorated signature. */
export class EventFailure {
  constructor(
    readonly eventId: string,
    readonly type: string,
    /** Why the event ended `dead`, in words. */
    readonly reason: string,
    /** What each consumer reported before. A consumer that never reported is not in it. */
    readonly outcomes: readonly ReportedOutcome[],
  ) {}
}

/** One failed attempt (to publish, or to handle), kept with the row. */
export interface AttemptRecord {
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** ISO 8601, the database's clock. */
  readonly at: string;
  readonly reason: string;
  /** Where the application threw: `StockService.deduct (stock.service.ts:41)`; left out where that is not known. */
  readonly where?: string | undefined;
}

/** How many attempts a row's history keeps: the newest ones. */
export const HISTORY_LENGTH = 20;
