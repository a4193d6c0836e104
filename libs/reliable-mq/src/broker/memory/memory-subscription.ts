import { toIncomingMessage } from '../incoming-message';
import type { Delivery, QueueSpec, Subscription, SubscriptionStatus } from '../transport';
import type { MemoryBroker } from './memory-broker';
import type { MemoryConsumer, MemoryQueue, StoredMessage } from './memory-queue';

/** One consumer of one queue; attached while the broker can be reached. */
export class MemorySubscription implements Subscription {
  private closed = false;
  private attached: { readonly queue: MemoryQueue; readonly consumer: MemoryConsumer } | undefined;

  constructor(
    private readonly broker: MemoryBroker,
    readonly spec: QueueSpec,
    private readonly prefetch: number,
    private readonly onDelivery: (delivery: Delivery) => void,
    private readonly onProblem: (error: unknown) => void,
  ) {}

  /**
   * Declares the queue and consumes, if that is wanted. Does nothing when attached.
   * @throws InvalidSetupError when the queue exists with other properties
   */
  attach(): void {
    if (this.attached || this.closed) return;
    const queue = this.spec.kind === 'existing' ? this.broker.find(this.spec.name) : this.broker.declare(this.spec);
    if (!queue) return;
    const consumer: MemoryConsumer = {
      prefetch: this.prefetch,
      unsettled: new Set(),
      deliver: (message, redelivered) => this.deliver(queue, consumer, message, redelivered),
      cancelled: () => setImmediate(() => this.attachAgain(consumer)),
    };
    this.attached = { queue, consumer };
    queue.add(consumer);
  }

  /** The connection is lost: unsettled deliveries go back, to be delivered again. */
  detach(): void {
    if (!this.attached) return;
    const { queue, consumer } = this.attached;
    this.attached = undefined;
    queue.remove(consumer);
    queue.giveBackAll(consumer);
  }

  status(): SubscriptionStatus {
    if (this.attached && !this.closed) return { consuming: true };
    const { name } = this.spec;
    if (this.closed) return { consuming: false, reason: `queue "${name}" is no longer consumed` };
    const reason = this.broker.offlineReason ?? `queue "${name}" does not exist`;
    return { consuming: false, reason };
  }

  async close(): Promise<void> {
    this.closed = true;
    if (this.attached) this.attached.queue.remove(this.attached.consumer);
  }

  private attachAgain(consumer: MemoryConsumer): void {
    if (this.attached?.consumer !== consumer) return;
    this.attached = undefined;
    try {
      if (!this.broker.offlineReason) this.attach();
    } catch (error) {
      this.onProblem(error);
    }
  }

  private deliver(queue: MemoryQueue, consumer: MemoryConsumer, stored: StoredMessage, redelivered: boolean): void {
    try {
      this.onDelivery({
        message: toIncomingMessage(this.spec.name, stored.raw, redelivered),
        ack: () => void queue.ack(consumer, stored),
      });
    } catch (error) {
      this.onProblem(error);
    }
  }
}
