import { toIncomingMessage } from '../incoming-message';
import type { Delivery, QueueReader } from '../transport';
import type { MemoryBroker } from './memory-broker';
import type { MemoryHolder, MemoryQueue } from './memory-queue';

/** Gets one message after the other, until it is closed or the broker goes away. */
export class MemoryQueueReader implements QueueReader {
  private readonly held: MemoryHolder = { unsettled: new Set() };
  private queue: MemoryQueue | undefined;
  private ended = false;

  constructor(
    private readonly broker: MemoryBroker,
    private readonly name: string,
    /** Forgets it. */
    private readonly onClose: (reader: MemoryQueueReader) => void,
  ) {}

  get problem(): string | undefined {
    return this.broker.offlineReason;
  }

  async next(): Promise<Delivery | undefined> {
    const queue = (this.queue ??= this.broker.find(this.name));
    if (this.ended || this.problem !== undefined || !queue) return undefined;
    const got = queue.get(this.held);
    if (!got) return undefined;
    const { message, redelivered } = got;
    return {
      message: toIncomingMessage(this.name, message.raw, redelivered),
      ack: () => void queue.ack(this.held, message),
    };
  }

  async close(): Promise<void> {
    this.detach();
    this.onClose(this);
  }

  /** The connection is lost: what was not settled goes back. */
  detach(): void {
    this.ended = true;
    this.queue?.giveBackAll(this.held);
  }
}
