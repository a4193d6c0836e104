import type { QueueSpec } from '../transport';
import type { RawMessage } from '../incoming-message';

export interface StoredMessage {
  readonly raw: RawMessage;
  /** Place in the queue, which a message keeps when it comes back. */
  readonly place: number;
  /** Whether anyone has ever got it. */
  delivered: boolean;
}

/** Who has messages of a queue that it has not settled. */
export interface MemoryHolder {
  readonly unsettled: Set<StoredMessage>;
}

/** Who takes messages of a queue, until it is removed. */
export interface MemoryConsumer extends MemoryHolder {
  readonly prefetch: number;
  deliver(message: StoredMessage, redelivered: boolean): void;
  /** The queue was deleted. */
  cancelled(): void;
}

/** First in, first out; what comes back takes its old place; at most `prefetch` unsettled messages per consumer. */
export class MemoryQueue {
  private ready: StoredMessage[] = [];
  private head = 0;
  /** What came back, by place; all of it precedes `ready`. */
  private returned: StoredMessage[] = [];
  private consumers: MemoryConsumer[] = [];
  private nextPlace = 0;
  private dispatching = false;

  get consumerCount(): number {
    return this.consumers.length;
  }

  constructor(readonly spec: Pick<QueueSpec, 'name' | 'kind' | 'parkingQueue'>) {}

  push(raw: RawMessage): void {
    this.ready.push({ raw, place: (this.nextPlace += 1), delivered: false });
    this.dispatchSoon();
  }

  add(consumer: MemoryConsumer): void {
    this.consumers.push(consumer);
    this.dispatchSoon();
  }

  /** Takes no more messages; what it has not settled stays with it. */
  remove(consumer: MemoryConsumer): void {
    this.consumers = this.consumers.filter((each) => each !== consumer);
  }

  /** Hands one message out that waits, if there is one. @returns it, and whether anyone has ever got it before */
  get(holder: MemoryHolder): { readonly message: StoredMessage; readonly redelivered: boolean } | undefined {
    const message = this.take();
    if (!message) return undefined;
    const redelivered = message.delivered;
    message.delivered = true;
    holder.unsettled.add(message);
    return { message, redelivered };
  }

  /** @returns false when the message is no longer with this holder: settled, or taken back */
  ack(holder: MemoryHolder, message: StoredMessage): boolean {
    const settled = holder.unsettled.delete(message);
    if (settled) this.dispatchSoon();
    return settled;
  }

  giveBackAll(holder: MemoryHolder): void {
    this.returned.push(...holder.unsettled);
    holder.unsettled.clear();
    this.returned.sort((a, b) => a.place - b.place);
    this.dispatchSoon();
  }

  /** What no consumer holds, in order. */
  waiting(): StoredMessage[] {
    return [...this.returned, ...this.ready.slice(this.head)];
  }

  purge(): number {
    const count = this.waiting().length;
    this.returned = [];
    this.ready = [];
    this.head = 0;
    return count;
  }

  delete(): void {
    this.purge();
    const { consumers } = this;
    this.consumers = [];
    for (const consumer of consumers) {
      consumer.unsettled.clear();
      consumer.cancelled();
    }
  }

  private dispatchSoon(): void {
    if (this.dispatching) return;
    this.dispatching = true;
    setImmediate(() => {
      this.dispatching = false;
      this.dispatch();
    });
  }

  private dispatch(): void {
    for (;;) {
      const consumer = this.consumers.find(({ unsettled, prefetch }) => unsettled.size < prefetch);
      const got = consumer && this.get(consumer);
      if (!got) return;
      // To the end of the line: consumers take turns.
      this.consumers.push(...this.consumers.splice(this.consumers.indexOf(consumer), 1));
      consumer.deliver(got.message, got.redelivered);
    }
  }

  private take(): StoredMessage | undefined {
    const message = this.returned.shift() ?? this.ready[this.head];
    if (!message || message !== this.ready[this.head]) return message;
    this.head += 1;
    // Cut off what was taken only now and then: Array.shift moves all that remains.
    if (this.head > 1_000 && this.head * 2 > this.ready.length) {
      this.ready = this.ready.slice(this.head);
      this.head = 0;
    }
    return message;
  }
}
