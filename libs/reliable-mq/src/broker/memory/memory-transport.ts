import { describeError } from '../../event/errors';
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
import type { MemoryBroker, MemoryClient } from './memory-broker';
import { MemoryQueueReader } from './memory-queue-reader';
import { MemorySubscription } from './memory-subscription';
import type { Log } from '../../log/log';

/** A connection to a `MemoryBroker`, with the same promises as the one to RabbitMQ. */
export class MemoryTransport implements Transport, MemoryClient {
  readonly kind = 'memory';
  private readonly subscriptions = new Set<MemorySubscription>();
  private readonly readers = new Set<MemoryQueueReader>();
  /** Publishes that the broker has not confirmed. */
  private readonly inFlight = new Set<(outcome: PublishOutcome) => void>();
  private readonly board: StatusBoard;
  private phase: 'new' | 'started' | 'closed' = 'new';

  constructor(
    private readonly broker: MemoryBroker,
    private readonly logger: Log,
  ) {
    this.board = new StatusBoard({ available: false, reason: 'not started' }, (error) =>
      this.logFailure('status listener', error),
    );
  }

  async start(): Promise<void> {
    if (this.phase !== 'new') return;
    this.phase = 'started';
    this.broker.connect(this);
    this.brokerChanged();
  }

  status(): TransportStatus {
    return this.board.current;
  }

  onStatus(listener: (status: TransportStatus) => void): () => void {
    return this.board.listen(listener);
  }

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    const answer = once((outcome: PublishOutcome) => {
      this.inFlight.delete(answer);
      try {
        done(outcome);
      } catch (error) {
        this.logFailure('publish callback', error);
      }
    });
    const { available, reason } = this.board.current;
    if (!available) return void setImmediate(() => answer({ status: 'unavailable', reason: reason ?? 'unavailable' }));
    this.inFlight.add(answer);
    setImmediate(() => {
      // Lost in between: it was answered, and must not be routed as well.
      if (this.inFlight.has(answer)) answer(this.route(message));
    });
  }

  send(message: OutgoingMessage): boolean {
    if (!this.board.current.available) return false;
    setImmediate(() => {
      // Also when this transport was closed meanwhile: what was written to a socket goes out before its orderly end.
      if (this.broker.offlineReason === undefined && this.broker.blockedReason === undefined) this.route(message);
    });
    return true;
  }

  async subscribe(spec: QueueSpec, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Subscription> {
    const subscription = new MemorySubscription(this.broker, spec, prefetch, onDelivery, (error) =>
      this.logFailure('delivery', error),
    );
    if (this.connected) subscription.attach();
    this.subscriptions.add(subscription);
    return subscription;
  }

  async queueState(name: string): Promise<QueueState> {
    if (!this.connected) return undefined;
    const queue = this.broker.find(name);
    return queue ? { messages: queue.waiting().length, consumers: queue.consumerCount } : 'no-queue';
  }

  read(queue: string): QueueReader {
    const reader = new MemoryQueueReader(this.broker, queue, (closed) => this.readers.delete(closed));
    this.readers.add(reader);
    if (!this.connected) reader.detach();
    return reader;
  }

  async refreshTopology(): Promise<void> {
    if (!this.connected) return;
    for (const { spec } of this.subscriptions) {
      try {
        if (spec.kind !== 'existing') this.broker.declare(spec);
      } catch (error) {
        this.logFailure('topology', error);
      }
    }
  }

  async close(): Promise<void> {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.broker.disconnect(this);
    this.board.set({ available: false, reason: 'closed' });
    this.lose('the transport was closed before the broker confirmed');
  }

  /** The broker went offline or online, was blocked or unblocked. */
  brokerChanged(): void {
    const { offlineReason, blockedReason } = this.broker;
    if (offlineReason !== undefined) {
      this.board.set({ available: false, reason: `not connected to the in-memory broker: ${offlineReason}` });
      return this.lose('connection to the in-memory broker lost before it confirmed');
    }
    for (const subscription of this.subscriptions) {
      try {
        subscription.attach();
      } catch (error) {
        this.logFailure('subscription', error);
      }
    }
    this.board.set(
      blockedReason === undefined
        ? { available: true }
        : { available: false, reason: `blocked by the broker: ${blockedReason}` },
    );
  }

  private get connected(): boolean {
    return this.phase === 'started' && this.broker.offlineReason === undefined;
  }

  private route({ target, body, properties: copied, ...properties }: OutgoingMessage): PublishOutcome {
    const own = { ...properties, headers: { ...properties.headers }, contentType: 'application/json' };
    const reached = this.broker.route(target, body, copied ?? own);
    if (reached > 0) return { status: 'routed' };
    const reason =
      'queue' in target
        ? `queue "${target.queue}" does not exist`
        : `no queue is bound for "${target.routingKey}" on the in-memory broker`;
    return { status: 'unroutable', reason };
  }

  private lose(reason: string): void {
    for (const answer of [...this.inFlight]) answer({ status: 'unavailable', reason });
    for (const holder of [...this.subscriptions, ...this.readers]) holder.detach();
  }

  private logFailure(what: string, error: unknown): void {
    this.logger.error(`In-memory ${what} failed`, { reason: describeError(error) });
  }
}

function once<T>(call: (value: T) => void): (value: T) => void {
  let called = false;
  return (value) => {
    if (called) return;
    called = true;
    call(value);
  };
}
