import { createHash } from 'node:crypto';
import { describeError } from '../event/errors';
import { HEADER } from '../event/message-headers';
import { isUuid } from '../event/event-id';
import { storableText } from '../event/storable';
import type { InboxKey, InboxMessage } from '../inbox/inbox.store';
import type { IncomingMessage } from '../broker/transport';
import type { Handler } from './handler';
import type { QueueHandlers } from './handler-registry';

/** Where receipts for a message go; absent for messages that this library did not publish. */
export interface ReceiptAddress {
  readonly queue: string;
  /** The producer's DataSource. */
  readonly source: string;
  readonly eventId: string;
  /** How often the producer had sent the event again by hand: it ignores failures of the times before. */
  readonly redrives: number;
}

/** A message that a handler can take. */
export interface ReadMessage {
  readonly eventId: string;
  readonly handler: Handler;
  readonly event: object;
  readonly stored: InboxMessage;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly producer: string | undefined;
  readonly receiptAddress: ReceiptAddress | undefined;
}

/** A message whose envelope is in order. Nothing of the application's has seen its payload yet. */
export interface OpenedMessage extends Omit<ReadMessage, 'event'> {
  readonly kind: 'opened';
  /** One of this library's events, so its id is its own. */
  readonly isOurs: boolean;
  /** Parsed JSON. */
  readonly payload: unknown;
  /** To be parked under, if the payload turns out to be one that no handler can take. */
  readonly parkingId: () => string;
}

/** No handler can ever take it: park it, under an id made of its bytes (its own id may be another event's). */
export interface UnreadableMessage {
  readonly kind: 'unreadable';
  readonly reason: string;
  readonly envelope: Envelope;
  readonly parkingId: string;
  /** Its id is not known to the byte: what has the same `parkingId` may be another message. */
  readonly mayBeAnother?: boolean;
}

export type Opening = OpenedMessage | UnreadableMessage | PostponedMessage;

/**
 * A message that can't be handled now, through no fault of its own: nobody here handles its version, which the next release may,
 * or the validation of its payload failed or did not end.
 */
export interface PostponedMessage {
  readonly kind: 'postponed';
  readonly reason: string;
  readonly envelope: Envelope;
  readonly eventId: string;
  /** Undefined: there is none for its version. */
  readonly handler: Handler | undefined;
}

/** What can be said of any message, however broken. */
export interface Envelope {
  readonly stored: InboxMessage;
  readonly receiptAddress: ReceiptAddress | undefined;
}

/** The parts of a message that matter here, from the wire or from the inbox. */
export type RawMessage = Pick<
  IncomingMessage,
  'body' | 'messageId' | 'type' | 'contentEncoding' | 'replyTo' | 'appId' | 'headers' | 'routingKey'
>;

const MAX_MESSAGE_ID_LENGTH = 255;
/** What the transport makes of bytes that are not UTF-8: ids that differ in such bytes only become equal. */
const REPLACEMENT_CHARACTER = '\ufffd';
export const MAX_REASON_LENGTH = 1000;
export const TOO_DEEP = 'its body is nested too deeply';
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Open a message that anyone may have sent. Of a foreign publisher nothing is required but `messageId`, `type` and a JSON body;
 * nothing that a message holds makes this throw.
 */
export function openMessage(raw: RawMessage, queue: QueueHandlers, maxBytes: number): Opening {
  const version = versionOf(raw.headers[HEADER.version], queue);
  const envelope: Envelope = {
    stored: {
      version: version ?? 0,
      body: raw.body,
      properties: propertiesOf(raw),
      redrives: redrivesOf(raw.headers[HEADER.redrives]),
    },
    receiptAddress: receiptAddressOf(raw),
  };
  const unreadable = (reason: string, mayBeAnother?: boolean): UnreadableMessage => ({
    kind: 'unreadable',
    reason: storableText(reason, MAX_REASON_LENGTH),
    envelope,
    parkingId: parkingId(raw, queue),
    ...(mayBeAnother && { mayBeAnother }),
  });

  const eventId = raw.messageId;
  if (eventId === undefined || eventId === '') return unreadable('the message has no messageId');
  if (eventId.length > MAX_MESSAGE_ID_LENGTH)
    return unreadable(`its messageId is longer than ${MAX_MESSAGE_ID_LENGTH} characters`);
  if (eventId !== storableText(eventId)) return unreadable('its messageId holds characters that no database stores');
  if (eventId.includes(REPLACEMENT_CHARACTER))
    return unreadable("its messageId has bytes that are not UTF-8 (U+FFFD), and can't be told from another's", true);
  if (raw.type === undefined || raw.type === '') return unreadable('the message has no type');
  if (raw.type !== queue.type) return unreadable(`its type is "${raw.type}", but this queue takes "${queue.type}"`);
  if (version === undefined) return unreadable(`its header ${HEADER.version} is not a whole number from 1`);

  const parsed = parseBody(raw, maxBytes);
  if ('problem' in parsed) return unreadable(parsed.problem);
  const handler = queue.byVersion.get(version);
  if (!handler) {
    const versions = [...queue.byVersion.keys()].sort((a, b) => a - b).join(', ');
    const reason = `no handler for version ${version} of "${queue.type}"; this service handles ${versions}`;
    return { kind: 'postponed', reason, envelope, eventId, handler };
  }
  return {
    kind: 'opened',
    eventId,
    handler,
    isOurs: typeof raw.headers[HEADER.source] === 'string' && isUuid(eventId),
    payload: parsed.value,
    ...envelope,
    headers: applicationHeaders(raw.headers),
    producer: raw.appId,
    parkingId: () => parkingId(raw, queue),
  };
}

function parseBody(raw: RawMessage, maxBytes: number): { readonly value: unknown } | { readonly problem: string } {
  const encoding = raw.contentEncoding?.toLowerCase();
  if (encoding && !['utf-8', 'utf8', 'identity'].includes(encoding)) {
    return { problem: `its content encoding "${raw.contentEncoding}" is not supported; send UTF-8 JSON` };
  }
  if (raw.body.length > maxBytes) {
    return { problem: `its body has ${raw.body.length} bytes, more than consume.maxMessageBytes (${maxBytes})` };
  }
  let text: string;
  try {
    text = UTF8.decode(raw.body);
  } catch {
    return { problem: 'its body is not UTF-8' };
  }
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return {
      problem: error instanceof RangeError ? TOO_DEEP : `its body is not JSON: ${describeError(error, 200)}`,
    };
  }
}

function versionOf(header: unknown, queue: QueueHandlers): number | undefined {
  if (header === undefined) return queue.byVersion.has(1) ? 1 : Math.min(...queue.byVersion.keys());
  const version = typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : header;
  return typeof version === 'number' && Number.isInteger(version) && version >= 1 && version < 2 ** 31
    ? version
    : undefined;
}

function redrivesOf(header: unknown): number {
  return typeof header === 'number' && Number.isInteger(header) && header >= 0 && header < 2 ** 31 ? header : 0;
}

function receiptAddressOf(raw: RawMessage): ReceiptAddress | undefined {
  const source = raw.headers[HEADER.source];
  if (raw.replyTo === undefined || raw.messageId === undefined) return undefined;
  if (typeof source !== 'string' || !isUuid(raw.messageId)) return undefined;
  return { queue: raw.replyTo, source, eventId: raw.messageId, redrives: redrivesOf(raw.headers[HEADER.redrives]) };
}

function applicationHeaders(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const own = new Set<string>(Object.values(HEADER));
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.has(name)));
}

function propertiesOf(raw: RawMessage): Readonly<Record<string, unknown>> {
  const { messageId, type, contentEncoding, replyTo, appId, headers, routingKey } = raw;
  return { messageId, type, contentEncoding, replyTo, appId, headers, routingKey };
}

/** The same for a message that comes again, another one for the same bytes in another queue or of another type. */
function parkingId(raw: RawMessage, queue: QueueHandlers): string {
  const properties = JSON.stringify([queue.type, raw.messageId, raw.type]);
  return `sha256:${createHash('sha256').update(properties).update('\n').update(raw.body).digest('hex')}`;
}

/** A message as it was stored in the inbox, in the form that `openMessage` takes. */
export function fromInbox(
  stored: Pick<InboxMessage, 'body' | 'properties'>,
  { eventId, type }: Pick<InboxKey, 'eventId' | 'type'>,
): RawMessage {
  const text = (key: string): string | undefined => {
    const value = stored.properties[key];
    return typeof value === 'string' ? value : undefined;
  };
  const headers = stored.properties['headers'];
  return {
    body: stored.body,
    messageId: eventId,
    type,
    contentEncoding: text('contentEncoding'),
    replyTo: text('replyTo'),
    appId: text('appId'),
    headers: typeof headers === 'object' && headers !== null ? (headers as Record<string, unknown>) : {},
    routingKey: text('routingKey') ?? type,
  };
}
