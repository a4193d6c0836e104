import { consumerQueue } from '../domain/queue-names';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { missingConsumers, publishTargets } from '../publish/publish-target';
import type { MessageTarget, QueueDepth, Transport } from '../transport/transport';

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
    const queues = missingQueues(event);
    let largest: Backlog | undefined;
    for (const queue of queues) {
      const messages = await this.count(queue);
      if (typeof messages !== 'number' || (this.left.get(queue) ?? 0) <= 0) return undefined;
      if (!largest || messages > largest.messages) largest = { queue, messages };
    }
    for (const queue of queues) this.take(queue);
    return largest;
  }

  /**
   * Where to publish an event. While the queue of one consumer does not exist the attempt ends `unroutable`, whatever becomes of the
   * other copies, and the next one follows soon: queues that may still hold the event are left out then. What a person has sent
   * again goes to everybody.
   */
  async targets(event: ClaimedEvent): Promise<readonly MessageTarget[]> {
    const queues = missingQueues(event);
    if (event.publishedAgoMs === null || event.redrives > 0 || queues.length < 2) return publishTargets(event);
    const depths = await Promise.all(queues.map((queue) => this.count(queue)));
    if (!depths.includes('no-queue')) return publishTargets(event);
    return queues.filter((queue) => !this.take(queue)).map((queue) => ({ queue }));
  }

  /** Puts one of the messages that wait in a queue to an event. @returns false when there is none left */
  private take(queue: string): boolean {
    const left = this.left.get(queue) ?? 0;
    if (left > 0) this.left.set(queue, left - 1);
    return left > 0;
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

/** Queues of the declared consumers that have not handled the event. */
function missingQueues(event: ClaimedEvent): readonly string[] {
  return missingConsumers(event).map((consumer) => consumerQueue(consumer, event.type));
}
