import type { Options } from 'amqplib';
import type { MessageTarget, OutgoingMessage } from '../transport';

/** Exchange and routing key of a target; the default exchange (empty name) routes by queue name. */
export function addressOf(
  target: MessageTarget,
  exchange: string,
): { readonly exchange: string; readonly routingKey: string } {
  return 'queue' in target ? { exchange: '', routingKey: target.queue } : { exchange, routingKey: target.routingKey };
}

/** AMQP properties of an outgoing message. `safely`: kept on disk, and returned when it reaches no queue. */
export function propertiesOf(message: OutgoingMessage, safely: boolean): Options.Publish {
  if (message.properties) return { ...message.properties, mandatory: safely, deliveryMode: safely ? 2 : 1 };
  return {
    mandatory: safely,
    deliveryMode: safely ? 2 : 1,
    contentType: 'application/json',
    messageId: message.messageId,
    type: message.type,
    appId: message.appId,
    replyTo: message.replyTo,
    timestamp: Math.floor(Date.now() / 1000),
    headers: message.headers,
  };
}
