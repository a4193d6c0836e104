import { Inject, Injectable } from '@nestjs/common';
import { finishesWithin } from '../wait/deadline';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { ReceiptSender } from '../receipt/receipt-sender';
import { TransactionContext } from '../transaction/transaction-context';
import { TRANSPORT, type Transport } from '../broker/transport';
import { HandlerRegistry } from './handler-registry';
import { Handling } from './handling';
import { Parking } from './parking';
import { QueueConsumer } from './queue-consumer';

/** How long cut-off attempts may take to roll back and give their rows back, in milliseconds. */
const CUT_OFF_MS = 5000;

/** The consuming half of an application: all its queues, started and stopped together. */
@Injectable()
export class ConsumerGroup {
  readonly handling: Handling;
  private readonly receipts: ReceiptSender;
  private readonly parking: Parking;
  private consumers: readonly QueueConsumer[] = [];
  private stopping = false;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: ResolvedOptions,
    private readonly handlers: HandlerRegistry,
    transactions: TransactionContext,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly hooks: HookRunner,
    wakeups: Wakeups,
  ) {
    this.receipts = new ReceiptSender(options.service, options.receipts.coalesceMs, transport, hooks);
    this.handling = new Handling(options.consume, transactions, this.receipts, hooks, wakeups);
    this.parking = new Parking(options.service, transport, this.handling.outcomes, hooks, () => this.stopping);
  }

  async start(): Promise<void> {
    const { maxMessageBytes } = this.options.consume;
    this.consumers = this.handlers
      .all()
      .map(
        (queue) => new QueueConsumer(queue, maxMessageBytes, this.transport, this.handling, this.parking, this.hooks),
      );
    await Promise.all(this.consumers.map((consumer) => consumer.start()));
  }

  /**
   * Take nothing more; let what runs finish within `drainMs`, then cut it off; send the receipts that wait. The retry job must
   * have been told to stop.
   */
  async drain(drainMs: number): Promise<void> {
    this.stopping = true;
    const idle = this.paused().then(() => this.idle());
    if (!(await finishesWithin(drainMs, idle))) {
      this.handling.stop();
      await finishesWithin(CUT_OFF_MS, idle);
    }
    this.handling.stop();
    this.receipts.stop();
  }

  private async paused(): Promise<void> {
    await Promise.all(this.consumers.map((consumer) => consumer.pause()));
  }

  private async idle(): Promise<void> {
    await Promise.all([...this.consumers.map((consumer) => consumer.idle()), this.handling.idle()]);
  }
}
