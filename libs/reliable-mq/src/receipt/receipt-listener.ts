import { Inject, Injectable } from '@nestjs/common';
import { finishesWithin } from '../wait/deadline';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import type { AppliedReceipt } from '../outbox/outbox.store';
import { type StoreSet, Stores } from '../database/stores';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { Delivery } from '../broker/transport';
import { describeError } from '../log/describe-error';
import { createLog } from '../log/log';
import { WarningDigest } from '../log/warning-digest';
import { decodeReceipts, strongestReceipts, type WireReceipt } from './receipt-codec';
import { ReceiptIntake } from './receipt-intake';
import { UndeclaredConsumers } from './undeclared-consumers';
import { UnknownReceipts } from './unknown-receipts';

/** Receipts written by one statement. */
const BATCH_SIZE = 1000;
/** How long receipts of an event wait whose compensation runs, in milliseconds. */
const BUSY_RETRY_MS = 500;
const CONFLICT_RETRY_MS = 100;

/** A message and what it says. */
interface Parcel {
  readonly delivery: Delivery;
  readonly receipts: readonly WireReceipt[];
}

/** What a listener that stops did with the messages that it held. */
export interface ReceiptListenerSummary {
  /** Messages whose receipts are written. */
  readonly written: number;
  /** Messages that go back to the broker. */
  readonly givenBack: number;
}

/**
 * Writes the receipts that consumers send to this service to the outbox they belong to, acknowledged after the commit. Messages that
 * arrive while one statement runs are written together with the next.
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
  private readonly unknown = new UnknownReceipts();
  private readonly useless = new WarningDigest((details) =>
    this.logger.warn('What came to the receipt queue was dropped', details),
  );
  private readonly refused = new WarningDigest((details) =>
    this.logger.error('A receipt could not be written; its event is chased', details),
  );
  private waiting: Parcel[] = [];
  private running: Promise<void> | undefined;
  /** Messages that were delivered and are not acknowledged. */
  private held = 0;

  constructor(
    private readonly intake: ReceiptIntake,
    private readonly stores: Stores,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'retention'>,
  ) {}

  /** Receipts for events that no outbox here holds, since the start of this process. */
  get unknownReceipts(): number {
    return this.unknown.count;
  }

  async start(): Promise<void> {
    await this.intake.start((delivery) => this.receive(delivery));
  }

  /** Take no more, and write what has arrived; what is not written after `drainMs` goes back to the broker. */
  async stop(drainMs: number): Promise<ReceiptListenerSummary> {
    const { held } = this;
    this.stopping.abort();
    for (const timer of this.timers) clearTimeout(timer);
    await this.intake.stop();
    if (this.running) await finishesWithin(drainMs, this.running);
    this.unknown.stop();
    this.useless.flush();
    this.refused.flush();
    return { written: Math.max(0, held - this.held), givenBack: this.held };
  }

  private receive(delivery: Delivery): void {
    this.held += 1;
    const { receipts, invalid } = decodeReceipts(delivery.message.body);
    const from = delivery.message.appId ?? 'unknown';
    if (invalid > 0) this.useless.add(undefined, { reason: 'no receipts', from }, { count: invalid });
    for (const { eventId, source } of receipts) {
      if (!this.stores.find(source))
        this.useless.add(eventId, { reason: 'receipts for an unknown DataSource', source });
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
      const { unwritten, unknown } = await this.apply(parcels.flatMap(({ receipts }) => receipts));
      for (const { delivery, receipts } of parcels) {
        const rest = receipts.filter((receipt) => unwritten.has(receipt.eventId));
        if (rest.length === 0) this.acknowledge(delivery);
        else this.writeLater({ delivery, receipts: rest });
      }
      const count = parcels.reduce((sum, { receipts }) => sum + receipts.length, 0);
      this.hooks.run('receiptsApplied', { count, ...(unknown > 0 && { unknown }) });
    }
    this.running = undefined;
  }

  private acknowledge(delivery: Delivery): void {
    this.held -= 1;
    delivery.ack();
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

  /** @returns ids of events whose receipts are not written, and how many receipts are about events that are not there */
  private async apply(
    receipts: readonly WireReceipt[],
  ): Promise<{ readonly unwritten: ReadonlySet<string>; readonly unknown: number }> {
    const unwritten = new Set<string>();
    let unknown = 0;
    for (const set of this.stores.all) {
      const own = strongestReceipts(receipts.filter(({ source }) => source === set.name));
      for (let from = 0; from < own.length; from += BATCH_SIZE) {
        const batch = await this.applyBatch(set, own.slice(from, from + BATCH_SIZE));
        for (const id of batch.unwritten) unwritten.add(id);
        unknown += batch.unknown;
      }
    }
    return { unwritten, unknown };
  }

  private async applyBatch(
    set: StoreSet,
    receipts: readonly WireReceipt[],
  ): Promise<{ readonly unwritten: readonly string[]; readonly unknown: number }> {
    for (;;) {
      try {
        const { outboxHours } = this.options.retention;
        const { applied, busy, unknown, refused } = await set.outbox.applyReceipts(receipts, outboxHours);
        this.intake.resume();
        this.report(receipts, applied);
        for (const { eventId, consumer, because } of refused) this.refused.add(eventId, { consumer, because });
        return { unwritten: busy, unknown: this.unknown.add(set.name, receipts, unknown) };
      } catch (error) {
        if (this.stopping.signal.aborted) return { unwritten: receipts.map(({ eventId }) => eventId), unknown: 0 };
        const failure = set.database.failureOf(error);
        if (failure === 'unavailable') {
          this.intake.interrupt(`database "${set.name}" is away`);
          await this.unlessStopping(set.gate.recover(error));
        } else if (failure === 'conflict') {
          await this.unlessStopping(new Promise((resolve) => setTimeout(resolve, CONFLICT_RETRY_MS)));
        } else {
          this.logger.error('Receipts could not be written; their events are chased', {
            count: receipts.length,
            eventIds: receipts.slice(0, 10).map(({ eventId }) => eventId),
            error: describeError(error),
          });
          this.intake.resume();
          return { unwritten: [], unknown: 0 };
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
