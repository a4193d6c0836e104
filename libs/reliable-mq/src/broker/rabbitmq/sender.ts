import type { Channel } from 'amqplib';
import { describeError } from '../../event/errors';
import type { OutgoingMessage } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { problemText } from './declaration';
import { SelfHealingChannel } from './self-healing-channel';
import { addressOf, propertiesOf } from './wire-message';
import type { Log } from '../../log/log';
import { Outage } from '../../log/outage';

/** For so long nothing may go wrong until it is over: a channel that is closed for each message is open in between. */
const QUIET_MS = 60_000;

/** Sends messages that may be lost, over a channel of their own: one that the broker closes it for harms no published event. */
export class Sender {
  private readonly channel: SelfHealingChannel<Channel>;
  private full = false;
  private readonly outage: Outage;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly exchange: string,
    private readonly logger: Log,
  ) {
    this.outage = new Outage(logger, {
      begins: 'RabbitMQ sending channel closed',
      ends: 'RabbitMQ sending channel stays open again',
    });
    this.channel = new SelfHealingChannel<Channel>(connection, {
      open: (model) => model.createChannel(),
      ready: (channel) => {
        this.full = false;
        channel.on('drain', () => (this.full = false));
      },
      ended: (end) => {
        if (end.by === 'server') this.outage.met({ reason: end.text });
      },
      failed: (error) => this.outage.met({ reason: problemText(error) }),
    });
  }

  send(message: OutgoingMessage): boolean {
    const channel = this.channel.current;
    if (!channel || this.full || this.connection.blockedReason !== undefined) return false;
    const { exchange, routingKey } = addressOf(message.target, this.exchange);
    try {
      // False: this one was still taken, but the buffer is above its mark now, until `drain`.
      this.outage.overIfQuiet(QUIET_MS);
      this.full = !channel.publish(exchange, routingKey, message.body, propertiesOf(message, false));
      return true;
    } catch (error) {
      this.logger.warn('RabbitMQ message could not be sent', {
        messageId: message.messageId,
        reason: describeError(error),
      });
      return false;
    }
  }

  close(withinMs: number): Promise<void> {
    return this.channel.close(withinMs);
  }
}
