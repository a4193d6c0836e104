import { consumerQueue } from '../domain/queue-names';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { missingConsumers } from '../publish/publish-target';
import type { QueueDepth, Transport } from '../transport/transport';

/** Queue in which an event may still be, and how many messages wait in it. */
export interface Backlog {
  readonly queue: string;
  readonly messages: number;
}

/**
 * Tells events that may still wait in their consumer's queue from those that must have been lost: a queue with `n` messages can
 * hold `n` of them. Published again, each would wait there twice, and a consumer that is behind would fall behind for good.
 */
export class QueueBacklogs {
  private readonly counts = new Map<string, Promise<QueueDepth>>();
  /** Messages of each queue that are not put to an event yet. */
  private readonly left = new Map<string, number>();

  constructor(private readonly transport: Pick<Transport, 'messagesWaiting'>) {}

  /** @returns undefined when at least one of its queues can't hold it; also when its consumers are not declared, so not known */
  async mayHold(event: ClaimedEvent): Promise<Backlog | undefined> {
    const queues = event.consumers.length > 0 ? missingConsumers(event) : [];
    let largest: Backlog | undefined;
    const names = queues.map((consumer) => consumerQueue(consumer, event.type));
    for (const queue of names) {
      const messages = await this.count(queue);
      if (typeof messages !== 'number' || (this.left.get(queue) ?? 0) <= 0) return undefined;
      if (!largest || messages > largest.messages) largest = { queue, messages };
    }
    for (const queue of names) this.left.set(queue, (this.left.get(queue) ?? 0) - 1);
    return largest;
  }

  private count(queue: string): Promise<QueueDepth> {
    let count = this.counts.get(queue);
    if (!count) {
      count = this.transport.messagesWaiting(queue).then((messages) => {
        this.left.set(queue, typeof messages === 'number' ? messages : 0);
        return messages;
      });
      this.counts.set(queue, count);
    }
    return count;
  }
}
