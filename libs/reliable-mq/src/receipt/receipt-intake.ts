import { Inject, Injectable } from '@nestjs/common';
import { type Delivery, type Subscription, TRANSPORT, type Transport } from '../broker/transport';
import { formerReceiptQueue, receiptQueue } from '../event/queue-names';
import { Wakeups } from '../event/wakeups';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';

const PREFETCH = 200;
/** How often is looked whether what waited in the queue is written, in milliseconds. */
const LOOK_EVERY_MS = 500;
/** A queue that is never empty is one that others fill all the time: so long, in milliseconds, what has waited in it comes first. */
const CATCH_UP_MS = 60_000;

/**
 * Where receipts come in, and whether they can. While they can't, that an event has none says nothing: the chase waits. Once they can
 * again, what has waited in the queue is written before silence counts.
 */
@Injectable()
export class ReceiptIntake {
  private subscriptions: readonly Subscription[] = [];
  private removeListener: (() => void) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private phase: 'away' | 'catching-up' | 'receiving' = 'away';
  /** Counts the times of catching up, so that one that was interrupted ends. */
  private round = 0;
  private catchUpEndsAtMs = 0;
  private receivesSinceMs = Number.NEGATIVE_INFINITY;
  private wasInterrupted = false;
  private obstacle: string | undefined;
  /** Messages that were delivered and are not acknowledged. */
  private held = 0;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'service'>,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly wakeups: Wakeups,
  ) {}

  async start(onDelivery: (delivery: Delivery) => void): Promise<void> {
    const take = (delivery: Delivery): void => onDelivery(this.counted(delivery));
    const { service } = this.options;
    const queue = { name: receiptQueue(service), kind: 'receipts', bindings: [] } as const;
    // Of events that an earlier version has published; and its instances may still run beside this one.
    const former = { name: formerReceiptQueue(service), kind: 'existing', bindings: [] } as const;
    this.subscriptions = [
      await this.transport.subscribe(queue, PREFETCH, take),
      await this.transport.subscribe(former, PREFETCH, take),
    ];
    this.removeListener = this.transport.onStatus(() => this.look());
    this.look();
  }

  /** Take no more. What was delivered can still be acknowledged. */
  async stop(): Promise<void> {
    this.removeListener?.();
    clearTimeout(this.timer);
    this.round += 1;
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
  }

  /** Why receipts that consumers have sent may not be known here yet; undefined: they are. */
  get problem(): string | undefined {
    this.look();
    if (this.phase === 'receiving') return undefined;
    if (this.phase === 'catching-up') return 'receipts that have waited in the queue are being written';
    return `receipts cannot be received: ${this.obstacle ?? this.subscriptions[0]?.status().reason ?? 'not started'}`;
  }

  /** Whether none can come, not even those that wait. */
  get isAway(): boolean {
    this.look();
    return this.phase === 'away';
  }

  /** For how long they have come without an interruption that this process has seen, in milliseconds. */
  get receivesForMs(): number {
    return performance.now() - this.receivesSinceMs;
  }

  /** What is delivered cannot be written: its database is away. */
  interrupt(obstacle: string): void {
    this.obstacle = obstacle;
    this.look();
  }

  /** It can be written again. */
  resume(): void {
    this.obstacle = undefined;
    this.look();
  }

  private counted(delivery: Delivery): Delivery {
    this.held += 1;
    const ack = (): void => {
      this.held -= 1;
      delivery.ack();
    };
    return { message: delivery.message, ack };
  }

  private look(): void {
    const isConsuming = this.obstacle === undefined && this.subscriptions[0]?.status().consuming === true;
    if (!isConsuming) {
      this.phase = 'away';
      this.wasInterrupted ||= this.subscriptions.length > 0;
    } else if (this.phase === 'away') {
      this.phase = 'catching-up';
      this.round += 1;
      this.catchUpEndsAtMs = performance.now() + CATCH_UP_MS;
      void this.catchUp(this.round);
    }
  }

  private async catchUp(round: number): Promise<void> {
    const state = await this.transport.queueState(receiptQueue(this.options.service));
    if (this.phase !== 'catching-up' || round !== this.round) return;
    const isWritten = typeof state === 'object' && state.messages === 0 && this.held === 0;
    const now = performance.now();
    if (!isWritten && now < this.catchUpEndsAtMs) {
      this.timer = setTimeout(() => void this.catchUp(round), LOOK_EVERY_MS);
      this.timer.unref();
      return;
    }
    this.phase = 'receiving';
    if (this.wasInterrupted) this.receivesSinceMs = now;
    this.wakeups.wake('chase');
  }
}
