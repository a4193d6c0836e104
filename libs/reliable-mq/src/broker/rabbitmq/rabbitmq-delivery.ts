import type { Channel, ConsumeMessage } from 'amqplib';
import { toIncomingMessage } from '../incoming-message';
import type { Delivery, IncomingMessage } from '../transport';

/** One delivered message, settled on the channel that delivered it: tags mean nothing on another one. */
export class RabbitMqDelivery implements Delivery {
  readonly message: IncomingMessage;
  private settled = false;

  constructor(
    private readonly channel: Channel,
    private readonly raw: ConsumeMessage,
    queue: string,
  ) {
    const { content, properties, fields } = raw;
    this.message = toIncomingMessage(
      queue,
      { body: content, properties: properties as unknown as Record<string, unknown>, routingKey: fields.routingKey },
      fields.redelivered,
    );
  }

  ack(): void {
    this.settle(() => this.channel.ack(this.raw));
  }

  requeue(): void {
    this.settle(() => this.channel.nack(this.raw, false, true));
  }

  private settle(send: () => void): void {
    // Twice would be a protocol error: the broker would close the channel, and with it all other deliveries.
    if (this.settled) return;
    this.settled = true;
    try {
      send();
    } catch {
      // The channel is closed. The broker has taken the message back and delivers it again.
    }
  }
}
