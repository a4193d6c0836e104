import type { Channel } from 'amqplib';
import { within } from '../../wait/deadline';
import type { Delivery, QueueReader } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { problemText } from './declaration';
import { RabbitMqDelivery } from './rabbitmq-delivery';
import { closeChannel, replyCode } from './self-healing-channel';

/** A queue that has no leader does not answer. */
const ANSWER_WITHIN_MS = 5_000;
const CLOSE_WITHIN_MS = 1_500;
const NOT_FOUND = 404;

/** Gets one message after the other over a channel of its own, which gives back what was not acknowledged when it closes. */
export class RabbitMqQueueReader implements QueueReader {
  problem: string | undefined;
  private ended = false;
  private channel: Promise<Channel> | undefined;
  private closedFor: unknown;

  constructor(
    private readonly connection: BrokerConnection,
    private readonly queue: string,
  ) {}

  async next(): Promise<Delivery | undefined> {
    if (this.ended) return undefined;
    try {
      return await within(ANSWER_WITHIN_MS, this.get(), () => new Error('the broker did not answer in time'));
    } catch (thrown) {
      // amqplib rejects with the frame that closed the channel, and emits the error.
      const error = this.closedFor ?? thrown;
      // What others wait for on the same channel ends with it.
      if (!this.ended && replyCode(error) !== NOT_FOUND) this.problem = problemText(error);
      this.ended = true;
      return undefined;
    }
  }

  async close(): Promise<void> {
    this.ended = true;
    const opened = await this.channel?.catch(() => undefined);
    if (opened) await closeChannel(opened, CLOSE_WITHIN_MS);
  }

  private async get(): Promise<Delivery | undefined> {
    const channel = await (this.channel ??= this.open());
    const raw = await channel.get(this.queue);
    return raw ? new RabbitMqDelivery(channel, raw, this.queue, () => undefined) : undefined;
  }

  private async open(): Promise<Channel> {
    const { model } = this.connection;
    if (!model) throw new Error(this.connection.problem);
    const channel = await model.createChannel();
    channel.on('error', (error: unknown) => (this.closedFor = error));
    return channel;
  }
}
