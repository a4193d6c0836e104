import {
  type Attributes,
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import type { Around, Compensation, Handling, HandlingEnd, Recording } from '../event/around';
import type { Hooks } from '../event/hooks';
import type { EventHeaders } from '../event/message-headers';
import { describeError } from '../log/describe-error';
import { ATTRIBUTE } from './names';
import { contextOf, linkTo, recordedIn } from './recorded-in';

/** Deliveries that are remembered until they are acknowledged. What goes back with its channel never is. */
const MAX_DELIVERIES = 10_000;

type Delivery = Pick<Parameters<Hooks['received']>[0], 'consumer' | 'type' | 'messageId'>;

/**
 * The spans of an event's way. The context of `send` is stored with the event, in its transaction, and every later span links to it: they
 * may be made by another process, hours later, or of many events at once, so that none of them is its child.
 */
export class Traces implements Around, Pick<Hooks, 'received' | 'acknowledged'> {
  /** What is delivered and not acknowledged, with the span in which it was handled. */
  private readonly deliveries = new Map<string, SpanContext | undefined>();

  constructor(
    private readonly tracer: Tracer,
    private readonly system: string,
  ) {}

  record({ type, version, count }: Recording, run: (headers: EventHeaders) => Promise<readonly string[]>): void {
    const span = this.tracer.startSpan(`send ${type}`, {
      kind: SpanKind.PRODUCER,
      attributes: {
        ...this.attributes('send', type),
        [ATTRIBUTE.version]: version,
        ...(count > 1 && { [ATTRIBUTE.batchSize]: count }),
      },
    });
    const recording = trace.setSpan(context.active(), span);
    const headers = recordedIn(recording);
    endWith(
      span,
      context.with(recording, () => run(headers)),
      ([eventId, ...others]) => {
        if (eventId !== undefined && others.length === 0) span.setAttribute(ATTRIBUTE.eventId, eventId);
      },
    );
  }

  handle(handling: Handling, run: () => Promise<HandlingEnd>): void {
    const { type, version, consumer, attempt, isBatch, messages } = handling;
    const [first] = messages;
    const span = this.tracer.startSpan(`process ${type}`, {
      kind: SpanKind.CONSUMER,
      root: true,
      links: messages.flatMap(({ eventId, headers }) => linkTo(headers, { [ATTRIBUTE.eventId]: eventId }) ?? []),
      attributes: {
        ...this.attributes('process', type),
        [ATTRIBUTE.version]: version,
        [ATTRIBUTE.consumer]: consumer,
        [ATTRIBUTE.attempt]: attempt,
        ...(isBatch ? { [ATTRIBUTE.batchSize]: messages.length } : { [ATTRIBUTE.eventId]: first?.eventId }),
      },
    });
    const base = isBatch ? ROOT_CONTEXT : withBaggage(first?.headers);
    endWith(span, context.with(trace.setSpan(base, span), run), ({ outcome, reason }) => {
      span.setAttribute(ATTRIBUTE.outcome, outcome);
      if (outcome !== 'handled' && reason !== 'taken' && reason !== 'stopping') fail(span, outcome, reason);
      for (const { eventId } of messages) {
        const key = keyOf({ consumer, type, messageId: eventId });
        if (this.deliveries.has(key)) this.deliveries.set(key, span.spanContext());
      }
    });
  }

  compensate({ eventId, type, attempt, reason, headers }: Compensation, run: () => Promise<void>): void {
    const link = linkTo(headers);
    const span = this.tracer.startSpan(`compensate ${type}`, {
      kind: SpanKind.INTERNAL,
      root: true,
      links: link ? [link] : [],
      attributes: {
        ...this.attributes('compensate', type),
        [ATTRIBUTE.eventId]: eventId,
        [ATTRIBUTE.attempt]: attempt,
      },
    });
    span.addEvent('dead', { reason });
    endWith(span, context.with(trace.setSpan(withBaggage(headers), span), run));
  }

  received(delivery: Delivery): void {
    const key = keyOf(delivery);
    this.deliveries.delete(key);
    this.deliveries.set(key, undefined);
    if (this.deliveries.size <= MAX_DELIVERIES) return;
    const [oldest] = this.deliveries.keys();
    if (oldest !== undefined) this.deliveries.delete(oldest);
  }

  /** Part of the trace in which the message was handled. What the inbox takes over first is acknowledged before that, and has no span. */
  acknowledged(delivery: Delivery): void {
    const key = keyOf(delivery);
    const handledIn = this.deliveries.get(key);
    this.deliveries.delete(key);
    if (!handledIn) return;
    const { type, consumer, messageId } = delivery;
    const attributes: Attributes = {
      ...this.attributes('settle', type),
      [ATTRIBUTE.consumer]: consumer,
      [ATTRIBUTE.eventId]: messageId,
    };
    const parent = trace.setSpanContext(ROOT_CONTEXT, handledIn);
    this.tracer.startSpan(`settle ${type}`, { kind: SpanKind.CLIENT, attributes }, parent).end();
  }

  private attributes(operation: 'send' | 'process' | 'settle' | 'compensate', type: string): Attributes {
    return {
      [ATTRIBUTE.system]: this.system,
      [ATTRIBUTE.operationName]: operation,
      // The conventions know nothing like a compensation.
      ...(operation !== 'compensate' && { [ATTRIBUTE.operationType]: operation }),
      [ATTRIBUTE.destination]: type,
    };
  }
}

/** The span ends with the work, and says why when that fails. */
function endWith<Result>(span: Span, work: Promise<Result>, onEnd?: (result: Result) => void): void {
  work
    .then(onEnd, (error: unknown) => fail(span, error instanceof Error ? error.name : 'error', describeError(error)))
    .finally(() => span.end())
    .catch(() => undefined);
}

function fail(span: Span, errorType: string, message: string | undefined): void {
  span.setAttribute(ATTRIBUTE.errorType, errorType);
  span.setStatus({ code: SpanStatusCode.ERROR, ...(message !== undefined && { message }) });
}

/** What was handed along with one event; of several there is no one baggage. */
function withBaggage(headers: Readonly<Record<string, unknown>> = {}): Context {
  const baggage = propagation.getBaggage(contextOf(headers));
  return baggage ? propagation.setBaggage(ROOT_CONTEXT, baggage) : ROOT_CONTEXT;
}

function keyOf({ consumer, type, messageId = '' }: Delivery): string {
  return `${consumer}\n${type}\n${messageId}`;
}
