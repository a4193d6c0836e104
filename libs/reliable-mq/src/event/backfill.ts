import { HEADER } from './message-headers';

/** Names of consumers hold no spaces. */
const SEPARATOR = ' ';

/** Consumers that an event which had ended was sent to later, by hand, as its row and its message say. */
export function backfilledConsumers(headers: Readonly<Record<string, unknown>> | null): readonly string[] {
  const names = headers?.[HEADER.backfill];
  return typeof names === 'string' ? names.split(SEPARATOR) : [];
}

/** The row's headers when it is sent to one more. */
export function headersWithBackfill(
  headers: Readonly<Record<string, unknown>> | null,
  consumer: string,
): Readonly<Record<string, unknown>> {
  return { ...headers, [HEADER.backfill]: [...backfilledConsumers(headers), consumer].join(SEPARATOR) };
}
