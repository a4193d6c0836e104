import type { PublishOutcome } from '../transport';

/** What the broker's words are compared with. */
export interface PublishedMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly messageId: string;
  readonly bytes: number;
}

/** A reason for which the broker closes a channel, and the messages that it concerns. */
export interface Refusal {
  /** The same for what is the same reason. */
  readonly key: string;
  concerns(message: PublishedMessage): boolean;
  readonly outcome: Exclude<PublishOutcome, { status: 'routed' }>;
}

/**
 * Reads from the broker's words which messages it closed the channel for; undefined when they don't say. A right that is missing for an
 * exchange as a whole is nobody's fault: like an exchange that can't be declared, it makes publishing to it unavailable.
 */
export function readRefusal(text: string): Refusal | undefined {
  const topic = /access to topic '(.*)' in exchange '(.*)' in vhost/.exec(text);
  if (topic) {
    const [, routingKey, exchange = ''] = topic;
    return {
      key: `topic ${exchange} ${routingKey}`,
      concerns: (message) => message.routingKey === routingKey && message.exchange === nameOf(exchange),
      outcome: { status: 'refused', reason: text },
    };
  }
  const exchange = /access to exchange '(.*)' in vhost/.exec(text)?.[1];
  if (exchange !== undefined) {
    return {
      key: `exchange ${exchange}`,
      concerns: (message) => message.exchange === nameOf(exchange),
      outcome: { status: 'unavailable', reason: text },
    };
  }
  const largest = /message size \d+ is larger than .*max size (\d+)/.exec(text)?.[1];
  if (largest !== undefined) {
    return {
      key: 'size',
      concerns: ({ bytes }) => bytes > Number(largest),
      outcome: { status: 'refused', reason: text },
    };
  }
  return undefined;
}

/** The broker calls the default exchange, whose name is empty, by another name. */
function nameOf(exchange: string): string {
  return exchange === 'amq.default' ? '' : exchange;
}
