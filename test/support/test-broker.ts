import { type Channel, type ChannelModel, connect } from 'amqplib';
import { cleanQueues, rabbitmqUrl, uniquePrefix } from './rabbitmq';

/** RabbitMQ for one test: names that nobody else has, a connection to look at them with, and one call that deletes them. */
export class TestBroker {
  readonly prefix = uniquePrefix();
  readonly exchange = `${this.prefix}exchange`;
  private readonly queues = new Set<string>();
  private connection: Promise<ChannelModel> | undefined;
  private opened: Promise<Channel> | undefined;

  /** @param urls of one broker, or of a cluster's nodes */
  constructor(readonly urls: readonly string[] = [rabbitmqUrl()]) {}

  /** The name of a service, whose queues `dispose` deletes: those of its own, and those of the event types that it handles. */
  service(name: string, ...types: readonly string[]): string {
    const service = `${this.prefix}${name}`;
    this.owns(`${service}.receipts.quorum`, `${service}.parked`, ...types.map((type) => `${service}.${type}`));
    return service;
  }

  /** Lets `dispose` delete these queues too. */
  owns(...queues: readonly string[]): void {
    for (const queue of queues) this.queues.add(queue);
  }

  /** One channel for the whole test, on a connection that the applications do not have. */
  channel(): Promise<Channel> {
    this.connection ??= connect(this.urls[0] as string);
    return (this.opened ??= this.connection.then((connection) => connection.createChannel()));
  }

  /** A connection and channel for one piece of work, which may end both. */
  async onChannel<T>(work: (channel: Channel) => Promise<T>): Promise<T> {
    const connection = await connect(this.urls[0] as string);
    try {
      return await work(await connection.createChannel());
    } finally {
      await connection.close();
    }
  }

  /** Messages that no consumer holds. */
  async waiting(queue: string): Promise<number> {
    return (await (await this.channel()).checkQueue(queue)).messageCount;
  }

  async dispose(): Promise<void> {
    await (await this.connection)?.close();
    await cleanQueues(this.prefix, { queues: [...this.queues], exchanges: [this.exchange] }, this.urls[0]);
  }
}
