import type { Channel } from 'amqplib';
import type { BrokerConnection } from './broker-connection';
import { fulfilledWithin } from './deadline';
import { SelfHealingChannel } from './self-healing-channel';

const ANSWER_WITHIN_MS = 2_000;

/** Reads how full queues are, over a channel of its own: asked about a queue that does not exist, the broker closes the channel. */
export class QueueGauge {
  private readonly channel: SelfHealingChannel<Channel>;

  constructor(connection: BrokerConnection) {
    this.channel = new SelfHealingChannel<Channel>(connection, { open: (model) => model.createChannel() });
  }

  /** @returns undefined when the broker cannot say in time, or there is no such queue */
  async messagesWaiting(queue: string): Promise<number | undefined> {
    const channel = this.channel.current;
    if (!channel) return undefined;
    let count: number | undefined;
    // In an async function, because amqplib throws at once on a channel that is closing.
    const ask = async (): Promise<void> => {
      ({ messageCount: count } = await channel.checkQueue(queue));
    };
    await fulfilledWithin(ANSWER_WITHIN_MS, ask());
    return count;
  }

  close(withinMs: number): Promise<void> {
    return this.channel.close(withinMs);
  }
}
