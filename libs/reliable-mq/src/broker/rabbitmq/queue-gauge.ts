import type { Channel } from 'amqplib';
import type { QueueState } from '../transport';
import type { BrokerConnection } from './broker-connection';
import { fulfilledWithin } from '../../wait/deadline';
import { closeChannel, replyCode } from './self-healing-channel';

const ANSWER_WITHIN_MS = 2_000;
const NOT_FOUND = 404;

/**
 * Reads how full queues are, over a channel of its own: asked about a queue that does not exist, the broker closes the channel.
 * That is an answer and no failure, so the next question opens another one at once. Questions wait for each other, or one would
 * lose its channel to another's missing queue.
 */
export class QueueGauge {
  private channel: Promise<Channel> | undefined;
  private lastAnswer: Promise<unknown> = Promise.resolve();

  constructor(private readonly connection: BrokerConnection) {}

  /** @returns undefined when the broker cannot say in time */
  queueState(queue: string): Promise<QueueState> {
    const answer = this.lastAnswer.then(() => this.stateInTime(queue));
    this.lastAnswer = answer;
    return answer;
  }

  async close(withinMs: number): Promise<void> {
    const closeOpened = async (): Promise<void> => {
      const channel = await this.channel;
      if (channel) await closeChannel(channel, withinMs);
    };
    await fulfilledWithin(withinMs, closeOpened());
  }

  private async stateInTime(queue: string): Promise<QueueState> {
    let state: QueueState;
    const ask = async (): Promise<void> => {
      state = await this.ask(queue);
    };
    await fulfilledWithin(ANSWER_WITHIN_MS, ask());
    return state;
  }

  private async ask(queue: string): Promise<QueueState> {
    const channel = await (this.channel ??= this.open());
    try {
      const { messageCount, consumerCount } = await channel.checkQueue(queue);
      return { messages: messageCount, consumers: consumerCount };
    } catch (error) {
      if (replyCode(error) === NOT_FOUND) return 'no-queue';
      throw error;
    }
  }

  private open(): Promise<Channel> {
    const forget = (): void => {
      if (this.channel === opening) this.channel = undefined;
    };
    const opening = this.openWatched(forget);
    opening.catch(forget);
    return opening;
  }

  private async openWatched(onClose: () => void): Promise<Channel> {
    const { model } = this.connection;
    if (!model) throw new Error(this.connection.problem);
    const channel = await model.createChannel();
    channel.on('error', () => undefined);
    channel.once('close', onClose);
    return channel;
  }
}
