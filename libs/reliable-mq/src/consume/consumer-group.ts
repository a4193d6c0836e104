import { setMaxListeners } from 'node:events';
import { Inject, Injectable } from '@nestjs/common';
import { TRANSPORT, type Transport } from '../broker/transport';
import type { StoreSet } from '../database/stores';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import type { InboxKey } from '../inbox/inbox.store';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { ReceiptSender } from '../receipt/receipt-sender';
import { TransactionContext } from '../transaction/transaction-context';
import { finishesWithin } from '../wait/deadline';
import { Attempts } from './attempt';
import { Consumer } from './consumer';
import { DeadLetters } from './dead-letters';
import { HandlerRegistry } from './handler-registry';
import { InboxWriter } from './inbox-writer';
import { Isolation } from './isolation';
import { Parking } from './parking';
import type { PipelineParts } from './pipeline';

/** How long cut-off attempts may take to roll back and give their rows back, in milliseconds. */
const CUT_OFF_MS = 5000;
const HOUR_MS = 60 * 60 * 1000;

/** The consuming half of an application: all its queues, started and stopped together. */
@Injectable()
export class ConsumerGroup {
  readonly isolation = new Isolation();
  private readonly stopping = new AbortController();
  private readonly receipts: ReceiptSender;
  private readonly parts: PipelineParts;
  private readonly parkings = new Map<string, Parking>();
  private readonly deadLetters = new Map<string, DeadLetters>();
  private consumers: readonly Consumer[] = [];
  private isDraining = false;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly handlers: HandlerRegistry,
    transactions: TransactionContext,
    @Inject(TRANSPORT) private readonly transport: Transport,
    hooks: HookRunner,
    wakeups: Wakeups,
  ) {
    // Each attempt listens to it while it runs.
    setMaxListeners(0, this.stopping.signal);
    const { signal: stop } = this.stopping;
    this.receipts = new ReceiptSender(options.service, options.receipts.coalesceMs, transport, hooks);
    this.parts = {
      options,
      attempts: new Attempts(transactions, hooks, stop),
      isolation: this.isolation,
      writer: new InboxWriter(stop),
      receipts: this.receipts,
      parkingOf: (consumer) => this.parkingOf(consumer),
      hooks,
      wakeups,
      stop,
    };
  }

  /** Consume the queue of each handler that is not consumed yet: again when handlers have been added. */
  async start(): Promise<void> {
    const added = this.handlers
      .all()
      .filter((queue) => !this.find(queue))
      .map((queue) => new Consumer(queue, this.transport, this.parts));
    this.consumers = [...this.consumers, ...added];
    for (const set of new Set(added.map(({ queue }) => queue.stores))) await this.followPauses(set);
    await Promise.all(added.filter(({ isHeld }) => !isHeld).map((consumer) => consumer.start()));
    for (const { queue } of added) this.deadLettersOf(queue.consumer).start();
  }

  /** Leave the queues alone that people have paused, and take from those again that they have resumed. Asks the database. */
  async followPauses(set: StoreSet): Promise<void> {
    const consumers = this.of(set);
    if (consumers.length === 0 || this.isDraining) return;
    const paused = await set.operations.pausedQueues();
    for (const consumer of consumers) {
      const { queue } = consumer;
      const isPaused = paused.some(({ consumer: name, type }) => name === queue.consumer && type === queue.type);
      if (this.isDraining) return;
      await (isPaused ? consumer.hold() : consumer.letGo());
    }
  }

  /** Queues that are left alone because people have paused them. */
  get pausedQueues(): readonly string[] {
    return this.consumers.filter(({ isHeld }) => isHeld).map(({ queue }) => queue.queue);
  }

  /** What keeps messages from being put aside as they should be, each as a sentence. */
  get problems(): readonly string[] {
    return [...this.parkings.values()].flatMap(({ problem }) => problem ?? []);
  }

  /** Those of them that nobody has paused. */
  active(set: StoreSet): readonly Consumer[] {
    return this.of(set).filter(({ isHeld }) => !isHeld);
  }

  /** Those whose inbox is this one. */
  of(set: StoreSet): readonly Consumer[] {
    return this.consumers.filter(({ queue }) => queue.stores === set);
  }

  find({ consumer, type }: Pick<InboxKey, 'consumer' | 'type'>): Consumer | undefined {
    return this.consumers.find(({ queue }) => queue.consumer === consumer && queue.type === type);
  }

  /**
   * Take nothing more; let what runs finish within `drainMs`, then cut it off; send the receipts that wait. The retry job must
   * have been told to stop.
   * @returns how many messages were cut off, and go back
   */
  async drain(drainMs: number): Promise<number> {
    this.isDraining = true;
    const idle = this.paused().then(() => this.idle());
    let cutOff = 0;
    if (!(await finishesWithin(drainMs, idle))) {
      cutOff = this.consumers.reduce((sum, { running }) => sum + running, 0);
      this.stopping.abort();
      await finishesWithin(CUT_OFF_MS, idle);
    }
    this.stopping.abort();
    for (const parking of this.parkings.values()) parking.stop();
    this.receipts.stop();
    return cutOff;
  }

  private async paused(): Promise<void> {
    const dead = [...this.deadLetters.values()].map((deadLetters) => deadLetters.stop());
    await Promise.all([...dead, ...this.consumers.map((consumer) => consumer.pause())]);
  }

  private async idle(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.idle()));
  }

  /** One for all queues of a consumer: they share the parking queue. */
  private parkingOf(consumer: string): Parking {
    const parking = this.parkings.get(consumer) ?? new Parking(consumer, this.transport);
    this.parkings.set(consumer, parking);
    return parking;
  }

  private deadLettersOf(consumer: string): DeadLetters {
    const { transport } = this;
    const { hooks } = this.parts;
    const find = (name: string): Consumer | undefined => this.consumers.find(({ queue }) => queue.queue === name);
    const inboxMs = this.options.retention.inboxHours * HOUR_MS;
    const deadLetters =
      this.deadLetters.get(consumer) ??
      new DeadLetters(consumer, this.parkingOf(consumer), { transport, hooks, find, inboxMs });
    this.deadLetters.set(consumer, deadLetters);
    return deadLetters;
  }
}
