import { describeError, isRejectEvent, type RejectEvent } from '../event/errors';

/**
 * How one attempt ended.
 * - `handled`: committed
 * - `taken`: the inbox row could not be claimed: another delivery or instance has it; nothing was run
 * - `failed`, `rejected`: the handler said so; rolled back
 * - `unavailable`: the database went away, and it is not known whether the commit happened: the inbox knows, later.
 *   `started`: the handler had begun; `isBack`: only its connection was lost, and the database answers
 * - `stopped`: cut off because the process must stop; rolled back
 */
export type AttemptResult =
  | { readonly kind: 'handled'; readonly durationMs: number }
  | { readonly kind: 'taken' | 'stopped' }
  | AttemptFailure
  | { readonly kind: 'unavailable'; readonly error: unknown; readonly started: boolean; readonly isBack?: true };

export interface AttemptFailure {
  readonly kind: 'failed' | 'rejected';
  readonly reason: string;
}

/** What the handler's error, or its time limit, says of the attempt. */
export function toFailure(error: unknown): AttemptFailure {
  if (isRejectEvent(error)) return { kind: 'rejected', reason: describeRejection(error) };
  return { kind: 'failed', reason: describeError(error) };
}

/** The reason as it was given, in the bounds that every stored reason has. */
function describeRejection({ reason }: RejectEvent): string {
  return describeError(reason || 'rejected without a reason');
}
