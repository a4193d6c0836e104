import {
  type Attributes,
  type Context,
  isSpanContextValid,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  trace,
} from '@opentelemetry/api';
import type { EventHeaders } from '../event/message-headers';

/**
 * The context in which an event was recorded, once more and in the form of `traceparent`: what instruments the AMQP client writes the
 * context in which the message was sent over the other one.
 */
const RECORDED_HEADER = 'recorded-traceparent';
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

type Headers = Readonly<Record<string, unknown>>;

/** Only texts: a foreign publisher may have sent anything. */
const GETTER = {
  keys: (headers: Headers): string[] => Object.keys(headers),
  get: (headers: Headers, name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  },
};

/** What is stored with an event: whatever the application's propagators write (`traceparent`, `tracestate`, `baggage`), and ours. */
export function recordedIn(recording: Context): EventHeaders {
  const headers: Record<string, string> = {};
  propagation.inject(recording, headers);
  const span = trace.getSpanContext(recording);
  if (span && isSpanContextValid(span)) headers[RECORDED_HEADER] = traceparentOf(span);
  return headers;
}

/** To where the event was recorded; undefined: nobody has said. */
export function linkTo(headers: Headers, attributes?: Attributes): Link | undefined {
  const remote = contextOf(headers);
  const recorded = spanOf(headers[RECORDED_HEADER]) ?? trace.getSpanContext(remote);
  return recorded && { context: recorded, ...(attributes && { attributes }) };
}

/** What was handed along with an event, such as its baggage, and its span. */
export function contextOf(headers: Headers): Context {
  return propagation.extract(ROOT_CONTEXT, headers, GETTER);
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function spanOf(header: unknown): SpanContext | undefined {
  const [, traceId, spanId, flags] = (typeof header === 'string' && TRACEPARENT.exec(header)) || [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? span : undefined;
}
