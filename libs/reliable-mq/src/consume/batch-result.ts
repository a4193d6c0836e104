import type { AttemptResult } from './attempt-result';

/** A batch begins no further handler after so many milliseconds: locks are not held for longer than it takes to end one. */
export const BATCH_WORK_MS = 500;

/** Nothing of the message is stored: it must run in a transaction of its own. */
export const ALONE = { kind: 'alone' } as const;

export type BatchResult = AttemptResult | typeof ALONE;

export interface BatchOutcome {
  /** One for each message, in their order. */
  readonly results: readonly BatchResult[];
  /** The transaction was rolled back as a whole, or it is not known whether it was. */
  readonly isLost: boolean;
}
