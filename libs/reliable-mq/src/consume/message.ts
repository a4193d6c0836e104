import { createHash } from 'node:crypto';
import { describeError, type InvalidProperty } from '../event/errors';
import { keyOfHeader } from '../event/event-key';
import { HEADER, RESERVED } from '../event/message-headers';
import { isUuid } from '../event/event-id';
import { storableText } from '../event/storable';
import { type ValidatedPayload, validatePayload } from '../event/validate-payload';
import type { InboxKey, InboxMessage } from '../inbox/inbox.store';
import { toIncomingMessage } from '../broker/incoming-message';
import type { IncomingMessage } from '../broker/transport';
import { AttemptWatchdog, Stopped } from './attempt-watchdog';
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

/** What can be said of any message, however broken. */
export interface Envelope {
  readonly raw: IncomingMessage;
  readonly stored: InboxMessage;
  readonly receiptAddress: ReceiptAddress | undefined;
  /** A copy out of the parking queue, which somebody has moved back. */
  readonly isMovedBack: boolean;
  /** An id made of its bytes, for a message whose own id may be another's. */
  readonly parkingKey: () => InboxKey;
}

/** A message whose envelope is in order. Nothing of the application's has seen its payload yet. */
export interface OpenedMessage extends Envelope {
  readonly kind: 'opened';
  readonly key: InboxKey;
  readonly handler: Handler;
  /** One of this library's events, so its id is its own. */
  readonly isOurs: boolean;
  /** Parsed JSON. */
  readonly payload: unknown;
}

/** A message that a handler can take. */
export interface ReadMessage {
  readonly opened: OpenedMessage;
  readonly event: object;
}

/** No handler can ever take it. */
export interface UnreadableMessage extends Envelope {
  readonly kind: 'unreadable';
  readonly reason: string;
  /** Its id is not known to the byte: what has the same parking id may be another message. */
  readonly mayBeAnother?: boolean;
}

/** Nobody here handles its version, which the next release may. */
export interface UnhandledMessage extends Envelope {
  readonly kind: 'unhandled';
  readonly key: InboxKey;
  readonly reason: string;
}

export type Opening = OpenedMessage | UnreadableMessage | UnhandledMessage;

/** What a message's payload turned out to be; `failed`: nothing is known of it, because the validation failed or did not end. */
export type Reading =
  | { readonly kind: 'event'; readonly message: ReadMessage }
  | { readonly kind: 'invalid' | 'failed'; readonly reason: string };

/** What stands in the place of an event id that no message has: made of bytes. */
const BYTES_ID = /^sha256:[0-9a-f]{64}$/;
const MAX_MESSAGE_ID_LENGTH = 255;
/** What the transport makes of bytes that are not UTF-8: ids that differ in such bytes only become equal. */
const REPLACEMENT_CHARACTER = '\ufffd';
const MAX_REASON_LENGTH = 1000;
const TOO_DEEP = 'its body is nested too deeply';
const UTF8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Open a message that anyone may have sent. Of a foreign publisher nothing is required but `messageId`, `type` and a JSON body;
 * nothing that a message holds makes this throw.
 */
export function openMessage(raw: IncomingMessage, queue: QueueHandlers, maxBytes: number): Opening {
  const version = versionOf(raw.headers[HEADER.version], queue);
  const isOurs = typeof raw.headers[HEADER.source] === 'string' && isUuid(raw.messageId ?? '');
  const envelope: Envelope = {
    raw,
    stored: {
      version: version ?? 0,
      body: raw.body,
      bodyHash: isOurs ? null : createHash('sha256').update(raw.body).digest(),
      properties: { ...raw.properties, routingKey: raw.routingKey },
      redrives: redrivesOf(raw.headers[HEADER.redrives]),
      key: storedKeyOf(raw, queue),
    },
    receiptAddress: receiptAddressOf(raw),
    isMovedBack: raw.headers[HEADER.reason] !== undefined,
    parkingKey: () => ({ eventId: bytesId(raw, queue), consumer: queue.consumer, type: queue.type }),
  };
  const unreadable = (reason: string, mayBeAnother?: true): UnreadableMessage => ({
    kind: 'unreadable',
    reason: storableText(reason, MAX_REASON_LENGTH),
    ...envelope,
    mayBeAnother,
  });

  const eventId = raw.messageId;
  if (eventId === undefined || eventId === '') return unreadable('the message has no messageId');
  if (eventId.length > MAX_MESSAGE_ID_LENGTH)
    return unreadable(`its messageId is longer than ${MAX_MESSAGE_ID_LENGTH} characters`);
  if (eventId !== storableText(eventId)) return unreadable('its messageId holds characters that no database stores');
  if (!queue.stores.database.isStorable(eventId))
    return unreadable("its messageId holds characters that are not in this database's encoding");
  if (eventId.includes(REPLACEMENT_CHARACTER))
    return unreadable("its messageId has bytes that are not UTF-8 (U+FFFD), and can't be told from another's", true);
  if (raw.type === undefined || raw.type === '') return unreadable('the message has no type');
  if (raw.type !== queue.type) return unreadable(`its type is "${raw.type}", but this queue takes "${queue.type}"`);
  if (version === undefined) return unreadable(`its header ${HEADER.version} is not a whole number from 1`);

  const parsed = parseBody(raw, maxBytes);
  if ('problem' in parsed) return unreadable(parsed.problem);
  const key = { eventId, consumer: queue.consumer, type: queue.type };
  const handler = queue.byVersion.get(version);
  if (handler) return { kind: 'opened', key, handler, isOurs, payload: parsed.value, ...envelope };
  const versions = [...queue.byVersion.keys()].sort((a, b) => a - b).join(', ');
  const reason = `no handler for version ${version} of "${queue.type}"; this service handles ${versions}`;
  return { kind: 'unhandled', key, reason, ...envelope };
}

/** A message as it was stored in the inbox. */
export function openRow(row: InboxKey & Pick<InboxMessage, 'body' | 'properties'>, queue: QueueHandlers): Opening {
  const { routingKey, ...properties } = row.properties;
  const isOfBytes = BYTES_ID.test(row.eventId);
  // Rows of a former release hold no messageId and type beside the key.
  const known = isOfBytes ? {} : { messageId: row.eventId, type: row.type };
  const raw = toIncomingMessage(
    queue.queue,
    {
      body: row.body,
      properties: { ...properties, ...known },
      routingKey: typeof routingKey === 'string' ? routingKey : row.type,
    },
    true,
  );
  const opening = openMessage(raw, queue, Number.POSITIVE_INFINITY);
  if (!isOfBytes || opening.kind === 'unreadable' || opening.key.eventId === row.eventId) return opening;
  if (opening.parkingKey().eventId === row.eventId) return opening;
  // What the database could not hold of its id was left out: the rest may be another message's id.
  return { ...opening, kind: 'unreadable', reason: 'its messageId could not be stored as it came' };
}

/**
 * Make a message's payload an instance of its event class. Conversions and rules are the application's code: what they wait for
 * takes no longer than an attempt may, and they may kill the process.
 * @param stop aborted when the process can't wait any longer
 * @returns undefined when the process is stopping
 */
export function readPayload(opened: OpenedMessage, stop: AbortSignal): Reading | Promise<Reading | undefined> {
  const { eventClass } = opened.handler.eventType;
  try {
    const result = validatePayload(eventClass, opened.payload);
    return 'then' in result ? readInTime(opened, result, stop) : asReading(opened, result);
  } catch (error) {
    const problem = error instanceof RangeError ? TOO_DEEP : `its payload can't be read: ${describeError(error, 300)}`;
    return { kind: 'invalid', reason: storableText(problem, MAX_REASON_LENGTH) };
  }
}

async function readInTime(
  opened: OpenedMessage,
  validation: Promise<ValidatedPayload<object>>,
  stop: AbortSignal,
): Promise<Reading | undefined> {
  const { timeoutMs } = opened.handler;
  // It may also fail when nobody waits for it any more.
  validation.catch(() => undefined);
  const watchdog = new AttemptWatchdog(stop);
  try {
    watchdog.enter(timeoutMs, () => new Error(`it did not end within ${timeoutMs} ms`));
    return asReading(opened, await watchdog.limit(validation));
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    return { kind: 'failed', reason: `the validation of its payload failed: ${describeError(error, 300)}` };
  } finally {
    watchdog.dispose();
  }
}

function asReading(opened: OpenedMessage, result: ValidatedPayload<object>): Reading {
  if ('instance' in result) return { kind: 'event', message: { opened, event: result.instance } };
  return {
    kind: 'invalid',
    reason: storableText(`its payload is invalid: ${listProblems(result.invalid)}`, MAX_REASON_LENGTH),
  };
}

function listProblems(invalid: readonly InvalidProperty[]): string {
  return invalid.map(({ property, problems }) => `${property}: ${problems.join(', ')}`).join('; ');
}

function parseBody(raw: IncomingMessage, maxBytes: number): { readonly value: unknown } | { readonly problem: string } {
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
      problem: error instanceof RangeError ? TOO_DEEP : notJson(error),
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

function storedKeyOf({ headers }: IncomingMessage, { stores }: QueueHandlers): string | null {
  const key = keyOfHeader(headers[HEADER.key]);
  return key !== null && stores.database.isStorable(key) ? key : null;
}

function redrivesOf(header: unknown): number {
  return typeof header === 'number' && Number.isInteger(header) && header >= 0 && header < 2 ** 31 ? header : 0;
}

function receiptAddressOf(raw: IncomingMessage): ReceiptAddress | undefined {
  const source = raw.headers[HEADER.source];
  if (raw.replyTo === undefined || raw.messageId === undefined) return undefined;
  if (typeof source !== 'string' || !isUuid(raw.messageId)) return undefined;
  return { queue: raw.replyTo, source, eventId: raw.messageId, redrives: redrivesOf(raw.headers[HEADER.redrives]) };
}

/** What is the application's of the headers. */
export function applicationHeaders(headers: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const own: Record<string, unknown> = {};
  for (const name in headers) if (!name.startsWith(RESERVED)) own[name] = headers[name];
  return own;
}

/** The same for a message that comes again, another one for the same bytes in another queue or of another type. */
function bytesId(raw: IncomingMessage, queue: QueueHandlers): string {
  const properties = JSON.stringify([queue.type, raw.messageId, raw.type]);
  return `sha256:${createHash('sha256').update(properties).update('\n').update(raw.body).digest('hex')}`;
}

/** The engine's own text quotes the body, which may be a customer's data. */
function notJson(error: unknown): string {
  const [position] = / at position \d+/.exec(describeError(error)) ?? [''];
  return `its body is not JSON${position}`;
}
