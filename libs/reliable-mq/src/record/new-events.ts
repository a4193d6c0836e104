import { performance } from 'node:perf_hooks';
import { InvalidEventError, type InvalidProperty, PayloadTooLargeError } from '../event/errors';
import { invalidKey } from '../event/event-key';
import { newEventId } from '../event/event-id';
import type { EventClass, EventType } from '../event/event-type';
import { type EventHeaders, invalidHeaders } from '../event/message-headers';
import { serializePayload } from '../event/serialize-payload';
import { type ValidatedPayload, validatePayload } from '../event/validate-payload';
import type { CommittedEvent } from '../transaction/committed-event';

/**
 * Events that are ready to be inserted.
 * @returns a promise only if a payload has to be waited for: each one costs whoever follows asynchronous calls
 * @throws InvalidEventError, PayloadTooLargeError; so does the promise
 */
export function newEvents(
  eventType: EventType,
  payloads: readonly unknown[],
  common: CommonParts,
  token: string,
  maxPayloadBytes: number,
): CommittedEvent[] | Promise<CommittedEvent[]> {
  // Before the insert: the lease must seem to end early here rather than late.
  const claimedAtMs = performance.now();
  const { type, version, consumers, confirm, eventClass } = eventType;
  const { headers, causationId } = common;
  const ofHeaders = headers ? invalidHeaders(headers) : [];
  const finish = (encoded: readonly EncodedPayload[]): CommittedEvent[] => {
    const keys = encoded.map((each) => ('json' in each ? keyOf(eventType, each.instance, common) : undefined));
    const invalid = [
      ...ofHeaders,
      ...encoded.flatMap((each, index) => invalidOf(each, index, encoded.length)),
      ...keys.flatMap(invalidKey),
    ];
    if (invalid.length > 0) throw new InvalidEventError(type, invalid);
    return encoded.map((each, index) => {
      const payload = 'json' in each ? each.json : '';
      // Checked above.
      const key = (keys[index] ?? null) as string | null;
      const bytes = Buffer.byteLength(payload);
      if (bytes > maxPayloadBytes) throw new PayloadTooLargeError(type, bytes, maxPayloadBytes);
      const ownHeaders = headers && Object.keys(headers).length > 0 ? { ...headers } : null;
      const id = newEventId();
      return {
        id,
        type,
        version,
        payload,
        headers: ownHeaders,
        consumers,
        confirm,
        key,
        causationId,
        token,
        claimedAtMs,
      };
    });
  };
  const encoded = payloads.map((payload) => encodePayload(eventClass, payload));
  return encoded.some((each) => 'then' in each)
    ? Promise.all(encoded.map((each) => Promise.resolve(each))).then(finish)
    : finish(encoded as readonly EncodedPayload[]);
}

/** What all payloads that are recorded together have. */
export interface CommonParts {
  readonly headers: EventHeaders | undefined;
  /** In the place of what the event class says. */
  readonly key?: string | undefined;
  readonly causationId: string | null;
}

function keyOf(eventType: EventType, instance: object, common: CommonParts): unknown {
  return common.key === undefined ? eventType.key?.(instance) : common.key;
}

type EncodedPayload =
  { readonly json: string; readonly instance: object } | { readonly invalid: readonly InvalidProperty[] };

/** Of several payloads each problem says which one. */
function invalidOf(encoded: EncodedPayload, index: number, count: number): readonly InvalidProperty[] {
  if (!('invalid' in encoded)) return [];
  const prefix = count > 1 ? `[${index}].` : '';
  return encoded.invalid.map((each) => ({ ...each, property: prefix + each.property }));
}

/**
 * The payload as JSON, which its class accepts. What is validated is what the consumer will see, the class made from the
 * JSON again: nested objects that are not instances of their classes yet are validated too, and an event that its
 * consumers would refuse (a Date property without `@Type(() => Date)`) is refused here.
 */
function encodePayload(eventClass: EventClass, payload: unknown): EncodedPayload | Promise<EncodedPayload> {
  const serialized = serializePayload(payload);
  if ('invalid' in serialized) return serialized;
  const validated = validatePayload(eventClass, JSON.parse(serialized.json));
  const { json } = serialized;
  const encoded = (result: ValidatedPayload<object>): EncodedPayload =>
    'invalid' in result ? result : { json, instance: result.instance };
  return 'then' in validated ? validated.then(encoded) : encoded(validated);
}
