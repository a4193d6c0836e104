import { consumerQueue, parkingQueue } from '../event/queue-names';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { missingConsumers, publishTargets } from '../publish/publish-target';
import type { MessageTarget, PresentQueue, QueueState, Transport } from '../broker/transport';

/**
 * Questions that a run spends on a broker that does not answer: each may take seconds, and claims are running out. More than one, for it
 * may be a single queue that has no leader.
 */
const MAX_UNANSWERED = 3;

/** Queue in which an event may still be, how many messages wait in it, and how many consumers it has. */
export interface Backlog extends PresentQueue {
  readonly queue: string;
}

/** The queue of one consumer for one type, and the one that takes what the broker dead-letters from it. */
interface ConsumerQueue {
  readonly queue: string;
  readonly parking: string;
}

/**
 * Tells events that may still wait in their consumer's queue from those that must have been lost: a queue with `n` messages can
 * hold `n` of them. Published again, each would wait there twice, and a consumer that is behind would fall behind for good. While nobody
 * consumes the queue, what the broker has dead-lettered from it waits for the consumer too; one that is there has taken it.
 */
export class QueueBacklogs {
  private readonly states = new Map<string, QueueState>();
  /** Messages of each queue that are not put to an event yet. */
  private readonly left = new Map<string, number>();

  /** Questions that the broker has left unanswered. */
  private unanswered = 0;

  /** @param mayAsk asked before each question to the broker */
  constructor(
    private readonly transport: Pick<Transport, 'queueState'>,
    private readonly mayAsk: () => boolean,
  ) {}

  /**
   * @returns undefined when at least one of its queues can't hold it; also when its consumers are not declared; `not-known` when the
   *   broker did not answer or was not asked
   */
  async mayHold(event: ClaimedEvent): Promise<Backlog | 'not-known' | undefined> {
    const queues = missingQueues(event);
    let largest: Backlog | undefined;
    for (const queue of queues) {
      const state = await this.state(queue);
      if (state === undefined) return 'not-known';
      if (state === 'no-queue' || (this.left.get(queue.queue) ?? 0) <= 0) return undefined;
      if (!largest || state.messages > largest.messages) largest = { queue: queue.queue, ...state };
    }
    for (const { queue } of queues) this.take(queue);
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
    // One after another: what is asked after an unanswered question waits in vain too.
    const states: QueueState[] = [];
    for (const queue of queues) states.push(await this.state(queue));
    if (!states.includes('no-queue')) return publishTargets(event);
    return queues.filter(({ queue }) => !this.take(queue)).map(({ queue }) => ({ queue }));
  }

  /** Those of an event's queues that exist and that nobody consumes, as far as the broker says. */
  async unattended(event: ClaimedEvent): Promise<readonly string[]> {
    const unattended: string[] = [];
    for (const queue of missingQueues(event)) {
      const state = await this.state(queue);
      if (typeof state === 'object' && state.consumers === 0) unattended.push(queue.queue);
    }
    return unattended;
  }

  /** Every queue that was asked about, with the answer. */
  get asked(): ReadonlyMap<string, QueueState> {
    return this.states;
  }

  /** Puts one of the messages that wait in a queue to an event. @returns false when there is none left */
  private take(queue: string): boolean {
    const left = this.left.get(queue) ?? 0;
    if (left > 0) this.left.set(queue, left - 1);
    return left > 0;
  }

  /** Asked once; no more after a few questions that were not answered. */
  private async state({ queue, parking }: ConsumerQueue): Promise<QueueState> {
    if (this.states.has(queue) || !this.goesOn()) return this.states.get(queue);
    let state = await this.ask(queue);
    if (typeof state === 'object' && state.consumers === 0 && this.goesOn()) {
      const parked = await this.ask(parking);
      if (typeof parked === 'object') state = { ...state, messages: state.messages + parked.messages };
    }
    this.states.set(queue, state);
    this.left.set(queue, typeof state === 'object' ? state.messages : 0);
    return state;
  }

  private goesOn(): boolean {
    return this.unanswered < MAX_UNANSWERED && this.mayAsk();
  }

  private async ask(queue: string): Promise<QueueState> {
    const state = await this.transport.queueState(queue);
    if (state === undefined) this.unanswered += 1;
    return state;
  }
}

/** Queues of the declared consumers that have not handled the event. */
function missingQueues({ type, ...event }: ClaimedEvent): readonly ConsumerQueue[] {
  return missingConsumers(event).map((consumer) => ({
    queue: consumerQueue(consumer, type),
    parking: parkingQueue(consumer),
  }));
}
