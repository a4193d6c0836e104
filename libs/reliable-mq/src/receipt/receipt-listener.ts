import { Inject, Injectable } from '@nestjs/common';
import { isDatabaseUnavailable, isTransient } from '../database/postgres/database-errors';
import { finishesWithin } from '../wait/deadline';
import { describeError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import { receiptQueue } from '../event/queue-names';
import { Wakeups } from '../event/wakeups';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { AppliedReceipt } from '../outbox/outbox.store';
import { type StoreSet, Stores } from '../database/stores';
import { type Delivery, type Subscription, TRANSPORT, type Transport } from '../broker/transport';
import { decodeReceipts, strongestReceipts, type WireReceipt } from './receipt-codec';
import { UndeclaredConsumers } from './undeclared-consumers';
import { createLog } from '../log/log';

const PREFETCH = 200;
/** Receipts written by one statement. */
const BATCH_SIZE = 1000;
/** How long receipts of an event wait whose compensation runs, in milliseconds. */
const BUSY_RETRY_MS = 500;
const TRANSIENT_RETRY_MS = 100;

/** A message and what it says. */
interface Parcel {
  readonly delivery: Delivery;
  readonly receipts: readonly WireReceipt[];
}

/**
 * Takes the receipts that consumers send to this service and writes them to the outbox they belong to, acknowledged after the
 * commit. Messages that arrive while one statement runs are written together with the next.
 */
@Injectable()
export class ReceiptListener {
  private readonly logger = createLog();
  private readonly stopping = new AbortController();
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly undeclared = new UndeclaredConsumers((details) =>
    this.logger.warn(
      'A consumer reported on an event that does not declare it but others: what it says does not count, the event waits for those',
      details,
    ),
  );
  private waiting: Parcel[] = [];
  private running: Promise<void> | undefined;
  private subscription: Subscription | undefined;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'service'>,
    private readonly stores: Stores,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
  ) {}

  async start(): Promise<void> {
    const queue = { name: receiptQueue(this.options.service), kind: 'receipts' as const, bindings: [] };
    this.subscription = await this.transport.subscribe(queue, PREFETCH, (delivery) => this.receive(delivery));
  }

  /** Take no more, and write what has arrived; what is not written after `drainMs` goes back to the broker. */
  async stop(drainMs: number): Promise<void> {
    this.stopping.abort();
    for (const timer of this.timers) clearTimeout(timer);
    await this.subscription?.close();
    if (this.running) await finishesWithin(drainMs, this.running);
  }

  private receive(delivery: Delivery): void {
    const { receipts, invalid } = decodeReceipts(delivery.message.body);
    if (invalid > 0) {
      this.logger.warn('Messages in the receipt queue that are no receipts were dropped', { count: invalid });
    }
    const foreign = receipts.filter(({ source }) => !this.stores.find(source));
    if (foreign.length > 0) {
      this.logger.warn('Receipts for a DataSource that this service does not have were dropped', {
        count: foreign.length,
        sources: [...new Set(foreign.map(({ source }) => source))].slice(0, 5),
      });
    }
    this.hooks.run('receiptsReceived', { count: receipts.length });
    this.write({ delivery, receipts });
  }

  private write(parcel: Parcel): void {
    this.waiting.push(parcel);
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    // Let the messages of this turn of the event loop join the first batch.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const parcels = this.waiting;
      this.waiting = [];
      const unwritten = await this.apply(parcels.flatMap(({ receipts }) => receipts));
      for (const { delivery, receipts } of parcels) {
        const rest = receipts.filter((receipt) => unwritten.has(receipt.eventId));
        if (rest.length === 0) delivery.ack();
        else this.writeLater({ delivery, receipts: rest });
      }
      this.hooks.run('receiptsApplied', { count: parcels.reduce((sum, { receipts }) => sum + receipts.length, 0) });
    }
    this.running = undefined;
  }

  private writeLater(parcel: Parcel): void {
    // Not acknowledged, it goes back when the transport closes.
    if (this.stopping.signal.aborted) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.write(parcel);
    }, BUSY_RETRY_MS);
    this.timers.add(timer);
  }

  /** @returns ids of events whose receipts are not written */
  private async apply(receipts: readonly WireReceipt[]): Promise<ReadonlySet<string>> {
    const unwritten = new Set<string>();
    for (const set of this.stores.all) {
      const own = strongestReceipts(receipts.filter(({ source }) => source === set.name));
      for (let from = 0; from < own.length; from += BATCH_SIZE) {
        for (const id of await this.applyBatch(set, own.slice(from, from + BATCH_SIZE))) unwritten.add(id);
      }
    }
    return unwritten;
  }

  private async applyBatch(set: StoreSet, receipts: readonly WireReceipt[]): Promise<readonly string[]> {
    for (;;) {
      try {
        const { applied, busy, refused } = await set.outbox.applyReceipts(receipts);
        if (refused.length > 0) {
          this.logger.error('Receipts could not be written; their events are chased', {
            count: refused.length,
            receipts: refused.slice(0, 10).map(({ eventId, consumer, because }) => ({ eventId, consumer, because })),
          });
        }
        this.report(receipts, applied);
        return busy;
      } catch (error) {
        if (this.stopping.signal.aborted) return receipts.map(({ eventId }) => eventId);
        if (isDatabaseUnavailable(error)) {
          await this.unlessStopping(set.gate.recover(error));
        } else if (isTransient(error)) {
          await this.unlessStopping(new Promise((resolve) => setTimeout(resolve, TRANSIENT_RETRY_MS)));
        } else {
          this.logger.error('Receipts could not be written; their events are chased', {
            count: receipts.length,
            eventIds: receipts.slice(0, 10).map(({ eventId }) => eventId),
            error: describeError(error),
          });
          return [];
        }
      }
    }
  }

  private async unlessStopping(wait: Promise<void>): Promise<void> {
    const { signal } = this.stopping;
    if (signal.aborted) return;
    let wake: () => void = () => undefined;
    const stopped = new Promise<void>((resolve) => (wake = resolve));
    signal.addEventListener('abort', wake, { once: true });
    await Promise.race([wait, stopped]);
    signal.removeEventListener('abort', wake);
  }

  private report(receipts: readonly WireReceipt[], applied: readonly AppliedReceipt[]): void {
    let anyDead = false;
    for (const event of applied) {
      const { eventId, type, statusBefore, status, reason } = event;
      this.undeclared.add(event, receipts);
      if (statusBefore === 'consumed' || statusBefore === 'dead') {
        this.reportLate(receipts, event);
      } else if (status === 'consumed') {
        this.hooks.run('consumed', { eventId });
      } else if (status === 'dead') {
        anyDead = true;
        this.logger.error('An event is dead: a consumer gave it up', { eventId, type, reason });
        this.hooks.run('dead', { eventId, type, reason: reason ?? '' });
      }
    }
    if (anyDead) this.wakeups.wake('compensate');
  }

  /** A final outcome that is news, and not the one that the event ended with. */
  private reportLate(receipts: readonly WireReceipt[], { eventId, type, statusBefore, changed }: AppliedReceipt): void {
    for (const { consumer, outcome, ...receipt } of receipts) {
      if (receipt.eventId !== eventId || outcome === 'retrying' || !changed.includes(consumer)) continue;
      if ((outcome === 'handled') === (statusBefore === 'consumed')) continue;
      this.logger.warn('A consumer reported an outcome after the event had ended otherwise', {
        eventId,
        type,
        ended: statusBefore,
        consumer,
        outcome,
      });
      this.hooks.run('lateOutcome', { eventId, consumer, outcome });
    }
  }
}
