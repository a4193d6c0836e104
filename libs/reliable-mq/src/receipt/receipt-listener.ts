import { Logger } from '@nestjs/common';
import type { DatabaseGate } from '../database/database-gate';
import { isDatabaseUnavailable } from '../database/database-errors';
import { describeError } from '../domain/errors';
import type { HookRunner } from '../domain/hook-runner';
import { receiptQueue } from '../domain/queue-names';
import type { AppliedReceipt } from '../outbox/outbox.store';
import type { StoreSet, Stores } from '../stores/stores';
import type { Delivery, Subscription, Transport } from '../transport/transport';
import { decodeReceipts, strongestReceipts, type WireReceipt } from './receipt-codec';

const PREFETCH = 200;

/**
 * Takes the receipts that consumers send to this service and writes them to the outbox they belong to, acknowledged after the
 * commit. Messages that arrive while one statement runs are written together with the next.
 */
export class ReceiptListener {
  private readonly logger = new Logger('ReliableMq');
  private waiting: Delivery[] = [];
  private running: Promise<void> | undefined;
  private subscription: Subscription | undefined;
  private stopped = false;

  constructor(
    private readonly service: string,
    private readonly stores: Stores,
    private readonly gateOf: (set: StoreSet) => DatabaseGate,
    private readonly transport: Transport,
    private readonly hooks: HookRunner,
    /** Called when events have ended `dead`, once that is written. */
    private readonly onDead: () => void,
  ) {}

  async start(): Promise<void> {
    const queue = { name: receiptQueue(this.service), kind: 'receipts' as const, bindings: [] };
    this.subscription = await this.transport.subscribe(queue, PREFETCH, (delivery) => {
      this.waiting.push(delivery);
      this.running ??= this.run();
    });
  }

  /** Take no more, and write what has arrived. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.subscription?.close();
    await this.running;
  }

  private async run(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.waiting.length > 0) {
      const deliveries = this.waiting;
      this.waiting = [];
      if (await this.apply(deliveries)) for (const delivery of deliveries) delivery.ack();
      else for (const delivery of deliveries) delivery.requeue();
    }
    this.running = undefined;
  }

  /** @returns false when they could not be written */
  private async apply(deliveries: readonly Delivery[]): Promise<boolean> {
    const receipts: WireReceipt[] = [];
    let invalid = 0;
    for (const { message } of deliveries) {
      const decoded = decodeReceipts(message.body);
      for (const receipt of decoded.receipts) receipts.push(receipt);
      invalid += decoded.invalid;
    }
    if (invalid > 0)
      this.logger.warn('Messages in the receipt queue that are no receipts were dropped', { count: invalid });
    this.hooks.run('receiptsReceived', { count: receipts.length });
    for (const set of this.stores.all) {
      const own = strongestReceipts(receipts.filter(({ source }) => source === set.name));
      if (own.length > 0 && !(await this.write(set, own))) return false;
    }
    const foreign = receipts.filter(({ source }) => !this.stores.find(source));
    if (foreign.length > 0) {
      this.logger.warn('Receipts for a DataSource that this service does not have were dropped', {
        count: foreign.length,
        sources: [...new Set(foreign.map(({ source }) => source))].slice(0, 5),
      });
    }
    this.hooks.run('receiptsApplied', { count: receipts.length });
    return true;
  }

  private async write(set: StoreSet, receipts: readonly WireReceipt[]): Promise<boolean> {
    for (;;) {
      try {
        this.report(receipts, await set.outbox.applyReceipts(receipts));
        return true;
      } catch (error) {
        if (this.stopped) return false;
        if (isDatabaseUnavailable(error)) {
          await this.gateOf(set).recover(error);
        } else {
          this.logger.error('Receipts could not be written; their events are chased', {
            count: receipts.length,
            eventIds: receipts.slice(0, 10).map(({ eventId }) => eventId),
            error: describeError(error),
          });
          return true;
        }
      }
    }
  }

  private report(receipts: readonly WireReceipt[], applied: readonly AppliedReceipt[]): void {
    let anyDead = false;
    for (const { eventId, type, statusBefore, status, reason } of applied) {
      const ended = statusBefore === 'consumed' || statusBefore === 'dead';
      if (ended) {
        for (const receipt of receipts) {
          const contradicts = (receipt.outcome === 'handled') !== (statusBefore === 'consumed');
          if (receipt.eventId === eventId && receipt.outcome !== 'retrying' && contradicts) {
            this.logger.warn('A consumer reported an outcome after the event had ended otherwise', {
              eventId,
              type,
              ended: statusBefore,
              consumer: receipt.consumer,
              outcome: receipt.outcome,
            });
            this.hooks.run('lateOutcome', { eventId, consumer: receipt.consumer, outcome: receipt.outcome });
          }
        }
      } else if (status === 'consumed') {
        this.hooks.run('consumed', { eventId });
      } else if (status === 'dead') {
        anyDead = true;
        this.logger.error('An event is dead: a consumer gave it up', { eventId, type, reason });
        this.hooks.run('dead', { eventId, type, reason: reason ?? '' });
      }
    }
    if (anyDead) this.onDead();
  }
}
