import { describeError } from '../../event/errors';
import type { ResolvedRabbitMqOptions } from './resolved-rabbitmq-options';
import { StatusBoard } from '../status-board';
import type {
  Delivery,
  OutgoingMessage,
  PublishOutcome,
  QueueReader,
  QueueState,
  QueueSpec,
  Subscription,
  Transport,
  TransportStatus,
} from '../transport';
import type { BrokerConnection } from './broker-connection';
import { consumingConnection, publishingConnection } from './connections';
import { Publisher } from './publisher';
import { QueueGauge } from './queue-gauge';
import { RabbitMqQueueReader } from './rabbitmq-queue-reader';
import { RabbitMqSubscription } from './rabbitmq-subscription';
import { Sender } from './sender';
import { Topology } from './topology';
import type { Log } from '../../log/log';

/** How long closing waits for the broker to agree to the end of the channels; acks and receipts on their way precede it. */
const CLOSE_CHANNELS_WITHIN_MS = 1_500;

export interface RabbitMqTransportOptions {
  /** Name of the service, for connections and consumers in the broker's management pages. */
  readonly service: string;
  readonly rabbitmq: ResolvedRabbitMqOptions;
  readonly confirmTimeoutMs: number;
}

/**
 * RabbitMQ, 3.10 and later. Two connections: one publishes, one consumes, because a memory or disk alarm of the broker blocks
 * every connection that publishes, and consuming is what ends the alarm.
 */
export class RabbitMqTransport implements Transport {
  readonly kind = 'rabbitmq';
  private readonly publishing: BrokerConnection;
  private readonly consuming: BrokerConnection;
  private readonly topology: Topology;
  private readonly publisher: Publisher;
  private readonly sender: Sender;
  private readonly gauge: QueueGauge;
  private readonly subscriptions = new Set<RabbitMqSubscription>();
  private readonly board: StatusBoard;
  private closing = false;
  private closed: Promise<void> | undefined;

  constructor(
    private readonly options: RabbitMqTransportOptions,
    private readonly logger: Log,
  ) {
    const { service, rabbitmq, confirmTimeoutMs } = options;
    const { exchange, topology, queueType, singleActiveConsumer } = rabbitmq;
    this.board = new StatusBoard({ available: false, reason: 'not started' }, (error) => {
      logger.error('RabbitMQ status listener failed', { reason: describeError(error) });
    });
    this.publishing = publishingConnection(service, rabbitmq, logger);
    this.consuming = consumingConnection(service, rabbitmq, logger);
    this.topology = new Topology(this.consuming, { exchange, topology, queueType, singleActiveConsumer }, logger);
    this.publisher = new Publisher(
      this.publishing,
      {
        exchange,
        topology,
        confirmTimeoutMs,
        onExchangeLost: () => void this.topology.refresh(),
        onChange: () => this.updateStatus(),
      },
      logger,
    );
    this.sender = new Sender(this.publishing, exchange, logger);
    this.gauge = new QueueGauge(this.consuming);
    const update = (): void => this.updateStatus();
    this.publishing.listen({ connected: update, disconnected: update, blockedChanged: update });
    this.consuming.listen({ connected: update, disconnected: update });
  }

  async start(): Promise<void> {
    if (this.closing) return;
    this.publishing.start();
    this.consuming.start();
    this.updateStatus();
  }

  status(): TransportStatus {
    return this.board.current;
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    return this.board.listen(listener);
  }

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    this.publisher.publish(message, done);
  }

  send(message: OutgoingMessage): boolean {
    return !this.closing && this.sender.send(message);
  }

  async subscribe(spec: QueueSpec, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Subscription> {
    // So that a queue with other properties is found at boot, and not only logged, when the broker is there.
    await this.consuming.settled();
    const { service } = this.options;
    const onChange = (): void => this.updateStatus();
    const subscription = new RabbitMqSubscription(
      this.consuming,
      this.topology,
      { service, spec, prefetch, onDelivery, onChange },
      this.logger,
    );
    this.subscriptions.add(subscription);
    try {
      await subscription.started();
    } catch (error) {
      this.subscriptions.delete(subscription);
      await subscription.close();
      await subscription.closeChannel(0);
      throw error;
    }
    return subscription;
  }

  async queueState(queue: string): Promise<QueueState> {
    return this.closing ? undefined : this.gauge.queueState(queue);
  }

  read(queue: string): QueueReader {
    return new RabbitMqQueueReader(this.consuming, queue);
  }

  refreshTopology(): Promise<void> {
    return this.topology.refresh();
  }

  close(): Promise<void> {
    return (this.closed ??= this.shutDown());
  }

  private async shutDown(): Promise<void> {
    this.closing = true;
    this.board.set({ available: false, reason: 'closed' });
    // Channels first: what was written to them goes out before their end, but not before the end of the connection.
    await Promise.all([
      this.publisher.close(CLOSE_CHANNELS_WITHIN_MS),
      this.sender.close(CLOSE_CHANNELS_WITHIN_MS),
      this.gauge.close(CLOSE_CHANNELS_WITHIN_MS),
      ...[...this.subscriptions].map((subscription) => subscription.closeChannel(CLOSE_CHANNELS_WITHIN_MS)),
    ]);
    await Promise.all([this.publishing.close(), this.consuming.close()]);
  }

  private updateStatus(): void {
    if (this.closing) return;
    const reason = this.publisher.unavailableReason;
    if (reason !== undefined) return this.board.set({ available: false, reason });
    const problems = [...this.subscriptions].map(({ problem }) => problem).filter((problem) => problem !== undefined);
    if (this.consuming.problem !== undefined) problems.unshift(`nothing is consumed: ${this.consuming.problem}`);
    problems.push(...this.publisher.problems);
    this.board.set(problems.length > 0 ? { available: true, reason: problems.join('; ') } : { available: true });
  }
}
