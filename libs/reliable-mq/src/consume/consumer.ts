import { AsyncResource } from 'node:async_hooks';
import type { Delivery, Subscription, Transport } from '../broker/transport';
import { describeError } from '../event/errors';
import { parkingQueue } from '../event/queue-names';
import type { ClaimableQueue } from '../inbox/inbox.store';
import { createLog } from '../log/log';
import type { ClaimedRow } from './claim';
import { leaseMsOf, type QueueHandlers } from './handler-registry';
import { Pipeline, type PipelineParts } from './pipeline';
import { Slots } from './slots';

const HOUR_MS = 60 * 60 * 1000;

/** Consumes one queue: gives its messages, and its rows in the inbox, to the pipeline, and knows what is in hand. */
export class Consumer {
  readonly slots: Slots;
  private readonly log = createLog();
  private readonly pipeline: Pipeline;
  /** The context of no request and no other message: handlers must not inherit what happened to be current. */
  private readonly root = new AsyncResource('ReliableMqConsumer');
  private readonly active = new Set<Promise<void>>();
  private subscription: Subscription | undefined;
  private held = false;

  constructor(
    readonly queue: QueueHandlers,
    private readonly transport: Transport,
    private readonly parts: PipelineParts,
  ) {
    this.slots = new Slots(queue.runsAtOnce);
    this.pipeline = new Pipeline(queue, this.slots, parts);
  }

  /** A person has paused the queue: nothing of it is taken or retried. */
  get isHeld(): boolean {
    return this.held;
  }

  /** Leave the queue alone, from the start or from now on; what is in hand goes on. */
  async hold(): Promise<void> {
    if (this.held) return;
    this.held = true;
    this.log.warn('A queue is paused: nothing of it is taken or retried until it is resumed', {
      queue: this.queue.queue,
    });
    await this.pause();
  }

  /** Take from the queue again. */
  async letGo(): Promise<void> {
    if (!this.held) return;
    await this.start();
    this.held = false;
    this.log.log('A paused queue was resumed', { queue: this.queue.queue });
  }

  async start(): Promise<void> {
    const { queue, consumer, type, prefetch } = this.queue;
    const spec = { name: queue, kind: 'events' as const, bindings: [type], parkingQueue: parkingQueue(consumer) };
    this.subscription = await this.transport.subscribe(spec, prefetch, (delivery) => {
      void this.take(delivery);
    });
  }

  /**
   * Handle a message of the queue that has come another way. Never rejects.
   * @param asideFor why it is to be put aside, and not handled
   */
  take(delivery: Delivery, asideFor?: string): Promise<void> {
    return this.begin(() => this.pipeline.take(delivery, asideFor));
  }

  /** Take no more messages; those in hand go on. */
  async pause(): Promise<void> {
    await this.subscription?.close();
  }

  /** Messages and rows in hand. */
  get running(): number {
    return this.active.size;
  }

  /** Resolves when nothing is in hand. */
  async idle(): Promise<void> {
    while (this.active.size > 0) await Promise.all(this.active);
  }

  /** What of the inbox is for it. */
  claimable(): Omit<ClaimableQueue, 'limit'> {
    const { consumer, type, byVersion } = this.queue;
    const waitMs = this.parts.options.consume.waitForHandlerHours * HOUR_MS;
    return { consumer, type, versions: [...byVersion.keys()], leaseMs: leaseMsOf(this.queue), waitMs };
  }

  /** Run the next attempt of a claimed row. Never rejects. */
  retry(claimed: ClaimedRow): Promise<void> {
    return this.begin(() => this.pipeline.takeRow(claimed, false));
  }

  /**
   * Run the next attempt of what may kill its process, with nothing else beside it: if the process dies, it dies of that one, and the
   * others are not suspected further. Never rejects.
   * @param claim takes the row when its turn has come
   */
  retryAlone(claim: () => Promise<ClaimedRow | undefined>): Promise<void> {
    return this.begin(async () => {
      await this.slots.take();
      try {
        await this.parts.isolation.alone(async () => {
          const claimed = await claim();
          if (claimed) await this.pipeline.takeRow(claimed, true);
        });
      } catch (error) {
        const { consumer, type } = this.queue;
        const ref = { consumer, type, error: describeError(error) };
        this.log.error('A suspect could not be claimed; the next run tries again', ref);
      } finally {
        this.slots.give();
      }
    });
  }

  private begin(work: () => Promise<void>): Promise<void> {
    const running = this.root.runInAsyncScope(work);
    this.active.add(running);
    const ended = (): void => void this.active.delete(running);
    running.then(ended, ended);
    return running;
  }
}
