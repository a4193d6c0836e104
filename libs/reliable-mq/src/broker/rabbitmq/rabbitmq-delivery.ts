import type { Channel, ConsumeMessage, GetMessage } from 'amqplib';
import { toIncomingMessage } from '../incoming-message';
import type { Delivery, IncomingMessage } from '../transport';
import { writeTogether } from './write-together';

/** One delivered message, acknowledged on the channel that delivered it: tags mean nothing on another one. */
export class RabbitMqDelivery implements Delivery {
  readonly message: IncomingMessage;
  private acknowledged = false;

  constructor(
    private readonly channel: Channel,
    private readonly raw: ConsumeMessage | GetMessage,
    queue: string,
    private readonly onAcknowledged: () => void,
  ) {
    const { content, properties, fields } = raw;
    this.message = toIncomingMessage(
      queue,
      { body: content, properties: properties as unknown as Record<string, unknown>, routingKey: fields.routingKey },
      fields.redelivered,
    );
  }

  ack(): void {
    // Twice would be a protocol error: the broker would close the channel, and with it all other deliveries.
    if (this.acknowledged) return;
    this.acknowledged = true;
    try {
      this.channel.ack(this.raw);
      writeTogether(this.channel);
    } catch {
      // The channel is closed. The broker has taken the message back and delivers it again.
      return;
    }
    this.onAcknowledged();
  }
}
