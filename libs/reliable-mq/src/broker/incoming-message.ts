import type { IncomingMessage } from './transport';

/** A message as any publisher may have sent it: every property may be missing or of any type. */
export interface RawMessage {
  readonly body: Buffer;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly routingKey: string;
}

/** What the handlers see of a raw message: properties of a wrong type are treated as missing, never trusted. */
export function toIncomingMessage(queue: string, raw: RawMessage, redelivered: boolean): IncomingMessage {
  const { properties } = raw;
  return {
    queue,
    body: raw.body,
    messageId: text(properties['messageId']),
    type: text(properties['type']),
    contentType: text(properties['contentType']),
    contentEncoding: text(properties['contentEncoding']),
    replyTo: text(properties['replyTo']),
    appId: text(properties['appId']),
    headers: table(properties['headers']),
    properties,
    routingKey: raw.routingKey,
    redelivered,
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function table(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
