import { connect, type Channel, type ChannelModel } from 'amqplib';
import type { ResolvedRabbitMqOptions } from '../../libs/reliable-mq/src/broker/rabbitmq/resolved-rabbitmq-options';
import { RabbitMqTransport } from '../../libs/reliable-mq/src/broker/rabbitmq/rabbitmq-transport';
import { startRabbitmq, type RabbitmqNode } from '../../tools/servers/rabbitmq';
import { startProxy, type TcpProxy } from '../../tools/servers/tcp-proxy';
import { uniquePrefix } from '../support/rabbitmq';
import type { Log } from '../../libs/reliable-mq/src/log/log';
import { silentLogger } from './transport-silent-logger';
import type { TransportHarness } from './transport-bench';

export interface TransportSettings extends Partial<ResolvedRabbitMqOptions> {
  readonly confirmTimeoutMs?: number;
  readonly logger?: Log;
}

/** RabbitMQ behind a proxy, with names of its own for exchange and queues, and hands on the broker itself. */
export class RabbitMqHarness implements TransportHarness {
  private readonly queues = new Set<string>();
  private readonly prefix = uniquePrefix();
  private node: RabbitmqNode | undefined;

  private constructor(
    readonly url: string,
    readonly proxy: TcpProxy,
    private admin: ChannelModel,
  ) {}

  static async open(url: string): Promise<RabbitMqHarness> {
    const { hostname, port } = new URL(url);
    const proxy = await startProxy({ target: { host: hostname, port: Number(port || 5672) } });
    return new RabbitMqHarness(url, proxy, await connectAdmin(url));
  }

  /** After a test that ended all connections of the broker. */
  async reopenAdmin(): Promise<void> {
    this.admin = await connectAdmin(this.url);
  }

  get exchange(): string {
    return `${this.prefix}exchange`;
  }

  create(settings: TransportSettings = {}): RabbitMqTransport {
    return createTransport(this.proxy.url(this.url), { exchange: this.exchange, ...settings });
  }

  async goOffline(): Promise<void> {
    await this.proxy.cut();
  }

  async goOnline(): Promise<void> {
    await this.proxy.restore();
  }

  /** On a broker of its own: an alarm concerns everybody who uses the broker. */
  async createBlockable(): Promise<{ transport: RabbitMqTransport; block(): Promise<void>; unblock(): Promise<void> }> {
    const node = (this.node ??= await startRabbitmq());
    return {
      transport: createTransport(node.url, { exchange: this.exchange }),
      block: () => node.setMemoryAlarm(true),
      unblock: () => node.setMemoryAlarm(false),
    };
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.ask((channel) => channel.deleteQueue(queue));
  }

  async purge(queue: string): Promise<void> {
    await this.ask((channel) => channel.purgeQueue(queue));
  }

  async unbind(queue: string, routingKey: string): Promise<void> {
    await this.ask((channel) => channel.unbindQueue(queue, this.exchange, routingKey));
  }

  async waiting(queue: string): Promise<number> {
    return (await this.ask((channel) => channel.checkQueue(queue))).messageCount;
  }

  async publishForeign(queue: string, body: Buffer, properties: Record<string, unknown>): Promise<void> {
    await this.ask(async (channel) => channel.sendToQueue(queue, body, properties));
  }

  queueName(name: string): string {
    this.queues.add(`${this.prefix}${name}`);
    return `${this.prefix}${name}`;
  }

  /** One request on a channel of its own, which an error closes. */
  async ask<T>(request: (channel: Channel) => Promise<T>): Promise<T> {
    const channel = await this.admin.createChannel();
    channel.on('error', () => undefined);
    const answer = await request(channel);
    await channel.close();
    return answer;
  }

  async dispose(): Promise<void> {
    await this.node?.dispose();
    await this.proxy.close();
    for (const queue of this.queues) await this.deleteQueue(queue);
    await this.ask((channel) => channel.deleteExchange(this.exchange));
    await this.admin.close();
  }
}

async function connectAdmin(url: string): Promise<ChannelModel> {
  const connection = await connect(url);
  connection.on('error', () => undefined);
  return connection;
}

export function createTransport(
  uri: string | readonly string[],
  settings: TransportSettings & { readonly exchange: string },
): RabbitMqTransport {
  const { confirmTimeoutMs = 10_000, logger = silentLogger, ...rabbitmq } = settings;
  return new RabbitMqTransport(
    {
      service: 'contract',
      confirmTimeoutMs,
      rabbitmq: {
        uris: typeof uri === 'string' ? [uri] : uri,
        heartbeatSeconds: 10,
        reconnectMs: 50,
        queueType: 'quorum',
        singleActiveConsumer: false,
        topology: 'declare',
        tls: undefined,
        credentials: undefined,
        connection: undefined,
        ...rabbitmq,
      },
    },
    logger,
  );
}
