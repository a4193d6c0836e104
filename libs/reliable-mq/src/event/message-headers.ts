import type { InvalidProperty } from './errors';
import { isStorableText } from './storable';

/** Headers that an application wants on its messages. */
export type EventHeaders = Readonly<Record<string, string | number | boolean>>;

/** Headers that this library puts on its messages. */
export const HEADER = {
  /** Version of the payload's form; also the sign that the message comes from this library. */
  version: 'reliable-mq-version',
  /** Name of the producer's DataSource, which a receipt gives back. */
  source: 'reliable-mq-source',
  /** Number of the attempt to publish. */
  attempt: 'reliable-mq-attempt',
  /** How often a person has sent the dead event again; a newer number lets a consumer that gave up try again. */
  redrives: 'reliable-mq-redrives',
  /** What people search the event by: see `key` of ReliableEventOptions. */
  key: 'reliable-mq-key',
  /** Id of the event that was being handled when this one was recorded. */
  causation: 'reliable-mq-causation-id',
  /** Consumers that got the event as history, after it had ended for all others: see `backfilledConsumers`. */
  backfill: 'reliable-mq-backfill',
  /** On a parked message: why it was put aside, and by whom. */
  reason: 'reliable-mq-reason',
  consumer: 'reliable-mq-consumer',
  queue: 'reliable-mq-queue',
  /** What a parked copy must not have as properties: it would expire, be sent on, or be refused as somebody else's. */
  expiration: 'reliable-mq-expiration',
  userId: 'reliable-mq-user-id',
  copiesTo: 'reliable-mq-cc',
  /** What the broker said of its death in another queue, which would be taken for its death in this one. */
  deaths: 'reliable-mq-x-death',
} as const;

/** Names that begin so are the library's. */
export const RESERVED = 'reliable-mq-';
const NAME = /^[A-Za-z0-9_.-]{1,100}$/;
const MAX_BYTES = 8192;
/** Of all names and values: AMQP sends the headers in one frame, and a frame that is too large costs the whole connection. */
const MAX_TOTAL_BYTES = 32_768;

/** What is wrong with headers that an application wants on its message. */
export function invalidHeaders(headers: Readonly<Record<string, unknown>>): readonly InvalidProperty[] {
  const invalid: InvalidProperty[] = [];
  let totalBytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    totalBytes += name.length + (typeof value === 'string' ? Buffer.byteLength(value) : 8);
    const refuse = (problem: string): void => {
      invalid.push({ property: `headers.${name}`, problems: [problem] });
    };
    if (!NAME.test(name)) refuse('a header name has 1 to 100 letters, digits, _, . or -');
    else if (name.toLowerCase().startsWith(RESERVED)) refuse(`names beginning with "${RESERVED}" are reserved`);
    else if (typeof value === 'string') {
      if (Buffer.byteLength(value) > MAX_BYTES) refuse(`longer than ${MAX_BYTES} bytes`);
      else if (!isStorableText(value)) refuse('holds a NUL character or half a surrogate pair, which databases refuse');
    } else if (typeof value === 'number') {
      if (!Number.isFinite(value)) refuse('not a finite number');
    } else if (typeof value !== 'boolean') refuse('a header is a string, a number or a boolean');
  }
  if (totalBytes > MAX_TOTAL_BYTES) {
    invalid.push({ property: 'headers', problems: [`${totalBytes} bytes, more than ${MAX_TOTAL_BYTES} in all`] });
  }
  return invalid;
}

/**
 * The application's headers, and below them those of who stands around recording. Of these, what could not be sent is left out: it must not
 * keep an event from being recorded.
 */
export function headersAround(
  own: EventHeaders | undefined,
  surrounding: EventHeaders | undefined,
): EventHeaders | undefined {
  if (!surrounding) return own;
  const sound = Object.entries(surrounding).filter(([name, value]) => invalidHeaders({ [name]: value }).length === 0);
  const all = { ...Object.fromEntries(sound), ...own };
  return invalidHeaders(all).length === 0 ? all : own;
}
