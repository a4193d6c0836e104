import { HEADER } from './message-headers';
import { isUuid } from './event-id';
import { isStorableText } from './storable';

/** The header that goes from an event to those that are recorded while it is handled. */
export const CORRELATION_HEADER = 'correlationId';
/** A foreign publisher may have sent anything: what is longer, or can't be stored, goes no further. */
const CORRELATION_MAX_LENGTH = 200;

/** An event that is being handled, or compensated: what is recorded meanwhile was caused by it. */
export interface Cause {
  /** As its producer gave it. A foreign publisher's is perhaps no UUID. */
  readonly eventId: string;
  readonly correlationId: string | undefined;
}

export function causeOf(eventId: string, headers: Readonly<Record<string, unknown>> | null): Cause {
  return { eventId, correlationId: correlationIdOf(headers) };
}

export function correlationIdOf(headers: Readonly<Record<string, unknown>> | null): string | undefined {
  const value = headers?.[CORRELATION_HEADER];
  const isTaken = typeof value === 'string' && value.length <= CORRELATION_MAX_LENGTH && isStorableText(value);
  return isTaken ? value : undefined;
}

/** Id of the event that caused a message's one; undefined: it says none, or none that this library has given. */
export function causationIdOf(headers: Readonly<Record<string, unknown>>): string | undefined {
  const value = headers[HEADER.causation];
  return typeof value === 'string' && isUuid(value) ? value : undefined;
}

/**
 * What an event has of those that were being handled when it was recorded. Of several, as in a batch, nobody can tell which one it
 * follows from, unless the caller does (`causationId`): then none is its cause, and it has the correlation id that all of them share.
 */
export function inheritedFrom(
  causes: readonly Cause[],
  chosen: string | undefined,
): { readonly causationId: string | null; readonly correlationId: string | undefined } {
  const named = chosen?.toLowerCase();
  const own = named === undefined ? causes : causes.filter(({ eventId }) => eventId.toLowerCase() === named);
  const shared = own.length > 0 ? own : causes;
  const [first] = shared;
  const only = own.length === 1 ? own[0]?.eventId : undefined;
  const causationId = named ?? (only !== undefined && isUuid(only) ? only : null);
  const isShared = shared.every(({ correlationId }) => correlationId === first?.correlationId);
  return { causationId, correlationId: isShared ? first?.correlationId : undefined };
}
