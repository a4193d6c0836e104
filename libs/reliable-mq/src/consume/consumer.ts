import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { Delivery, Subscription, Transport } from '../broker/transport';
import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { HandlingRef } from '../event/hooks';
import { parkingQueue } from '../event/queue-names';
import { storableText } from '../event/storable';
import type { Wakeups } from '../event/wakeups';
import type { ClaimableQueue, ClaimedInboxRow, InboxKey, InboxRow } from '../inbox/inbox.store';
import { createLog } from '../log/log';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ReceiptSender } from '../receipt/receipt-sender';
import { backoffMs } from '../wait/backoff';
import type { Attempts } from './attempt';
import { Batches } from './batch';
import { adopt, type Claim, FreshClaim, HeldClaim } from './claim';
import { type Handler, handlingLeaseMs } from './handler';
import type { QueueHandlers } from './handler-registry';
import type { InboxWriter } from './inbox-writer';
import type { Isolation } from './isolation';
import {
  type OpenedMessage,
  type Opening,
  openMessage,
  openRow,
  readPayload,
  type UnhandledMessage,
  type UnreadableMessage,
} from './message';
import {
  type Failure,
  failedAttempt,
  HANDLED,
  type Outcome,
  outcomeOfRow,
  reportOf,
  STOPPING,
  TAKEN,
  type Undecided,
} from './outcome';
import type { Parking } from './parking';
import { Slots } from './slots';

/** Attempts of one message in a row that an outage of the database may cut off without their being counted. */
const UNCOUNTED_OUTAGES = 2;
/** Delays between tries of a transaction that another one was in the way of, in milliseconds. */
const CONFLICT_BACKOFF = { initialMs: 20, maxMs: 500, jitter: 0.9 };
/**
 * For how many of the handler's timeouts conflicts of one message are not counted. They end by themselves as a rule, when those that
 * were faster have committed; a transaction that meets one each time may be what makes them.
 */
const CONFLICT_TIMEOUTS = 2;

/** Conflicts that come after so long a time without any are told of again, in milliseconds. */
const CONFLICTS_QUIET_MS = 60_000;
const HOUR_MS = 60 * 60 * 1000;

const NOTHING = (): void => undefined;
const AT_ONCE = <T>(work: () => Promise<T>): Promise<T> => work();

/** What the consumers of an application share. */
export interface ConsumerParts {
  readonly options: Pick<ResolvedOptions, 'consume'>;
  readonly transport: Transport;
  readonly attempts: Attempts;
  readonly isolation: Isolation;
  readonly writer: InboxWriter;
  readonly receipts: ReceiptSender;
  readonly parkingOf: (consumer: string) => Parking;
  readonly hooks: HookRunner;
  readonly wakeups: Wakeups;
  /** Aborted when the process can't wait any longer. */
  readonly stop: AbortSignal;
}

/** A row of the inbox, and the claim on it. */
export interface ClaimedRow {
  readonly row: ClaimedInboxRow;
  readonly token: string;
}

/** A row that stands for a message, under which id. */
interface FoundRow {
  readonly key: InboxKey;
  readonly row: InboxRow;
}

/** One message on its way through the pipeline. */
interface Passage {
  /** @returns the right to handle it; undefined when somebody else has it, or the process is stopping */
  readonly claim: () => Promise<Claim | undefined>;
  /** The inbox has the message: the broker need not keep it. */
  readonly onStored: () => void;
  /** Begins work that may kill the process. */
  readonly guard: <T>(work: () => Promise<T>) => Promise<T>;
  /** It comes from the broker: the inbox may know it already. */
  readonly isDelivery: boolean;
  /** The caller has taken a slot for it. */
  readonly hasSlot?: boolean;
}

/**
 * Takes the messages of one queue to their end:
 *
 *   message → slot → claim → attempt → outcome → store → ack → receipt
 *
 * There are three ways in, and they differ in the claim:
 *
 *   fresh delivery      the inbox row is part of the handler's transaction; a failure is stored, and retried from the inbox
 *   redelivered         its process may have died of it: the inbox takes it over, with its attempt counted, before anything of the
 *                       application's sees it, and the broker is told so
 *   claimed row         the next attempt of what is stored
 *
 * While the database is away everything waits, nothing is acknowledged, and no attempt is counted. What is not acknowledged stays
 * with this process, and goes back to the broker with its channel.
 */
export class Consumer {
  readonly slots: Slots;
  private readonly log = createLog();
  /** The context of no request and no other message: handlers must not inherit what happened to be current. */
  private readonly root = new AsyncResource('ReliableMqConsumer');
  private readonly parking: Parking;
  private readonly active = new Set<Promise<void>>();
  /** What is in hand, by event id. */
  private readonly inHand = new Map<string, Promise<unknown>>();
  /** How often in a row a message's attempts were cut off by an outage, by event id. */
  private readonly outages = new Map<string, number>();
  private readonly batches = new Map<Handler, Batches>();
  private readonly beside: Passage['guard'] = (work) => this.parts.isolation.beside(work);
  private conflictToldMs = Number.NEGATIVE_INFINITY;
  private subscription: Subscription | undefined;

  constructor(
    readonly queue: QueueHandlers,
    private readonly parts: ConsumerParts,
  ) {
    this.slots = new Slots(queue.runsAtOnce);
    this.parking = parts.parkingOf(queue.consumer);
    for (const handler of queue.byVersion.values()) {
      if (!handler.batch) continue;
      const { attempts, isolation, writer, stop } = parts;
      const alone = (message: OpenedMessage): Promise<Outcome> => this.handle(message, this.fresh(message, NOTHING));
      this.batches.set(handler, new Batches(handler, attempts, this.slots, isolation, writer, stop, alone));
    }
  }

  async start(): Promise<void> {
    const { queue, consumer, type, prefetch } = this.queue;
    const spec = { name: queue, kind: 'events' as const, bindings: [type], parkingQueue: parkingQueue(consumer) };
    this.subscription = await this.parts.transport.subscribe(spec, prefetch, (delivery) => {
      void this.begin(() => this.take(delivery));
    });
  }

  /** Take no more messages; those in hand go on. */
  async pause(): Promise<void> {
    await this.subscription?.close();
  }

  /** Resolves when nothing is in hand. */
  /** Messages and rows in hand. */
  get running(): number {
    return this.active.size;
  }

  async idle(): Promise<void> {
    while (this.active.size > 0) await Promise.all(this.active);
  }

  /** What of the inbox is for it. */
  claimable(): Omit<ClaimableQueue, 'limit'> {
    const { consumer, type, byVersion } = this.queue;
    const waitMs = this.parts.options.consume.waitForHandlerHours * HOUR_MS;
    return { consumer, type, versions: [...byVersion.keys()], leaseMs: this.leaseMs, waitMs };
  }

  /** Run the next attempt of a claimed row. Never rejects. */
  retry(claimed: ClaimedRow): Promise<void> {
    return this.begin(() => this.takeRow(claimed, this.beside, false));
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
          if (claimed) await this.takeRow(claimed, AT_ONCE, true);
        });
      } catch (error) {
        const { consumer, type } = this.queue;
        this.log.error('A suspect could not be claimed; the next run tries again', { consumer, type, error });
      } finally {
        this.slots.give();
      }
    });
  }

  private get leaseMs(): number {
    return handlingLeaseMs(Math.max(...[...this.queue.byVersion.values()].map(({ timeoutMs }) => timeoutMs)));
  }

  private begin(work: () => Promise<void>): Promise<void> {
    const running: Promise<void> = this.root.runInAsyncScope(work).finally(() => this.active.delete(running));
    this.active.add(running);
    return running;
  }

  private async take(delivery: Delivery): Promise<void> {
    const { message } = delivery;
    const { hooks, options } = this.parts;
    const { queue, messageId, redelivered } = message;
    hooks.run('received', { queue, messageId, redelivered });
    const opening = openMessage(message, this.queue, options.consume.maxMessageBytes);
    let isAcknowledged = false;
    const acknowledge = (): void => {
      if (isAcknowledged) return;
      isAcknowledged = true;
      delivery.ack();
      hooks.run('acknowledged', { queue, messageId });
    };
    const outcome = await this.conclude(opening, acknowledge);
    if (outcome.kind === 'undecided') return;
    acknowledge();
    this.report(opening, outcome);
  }

  private async takeRow(claimed: ClaimedRow, guard: Passage['guard'], hasSlot: boolean): Promise<void> {
    const { row } = claimed;
    try {
      const opening = openRow(row, this.queue);
      const outcome = await this.oneAtATime(row.eventId, () => this.concludeRow(claimed, opening, guard, hasSlot));
      // The row's number, not the message's: the row may have been redriven by a later copy of the message.
      if (outcome.kind !== 'undecided') this.report(opening, outcome, row.redrives);
    } catch (error) {
      const { eventId, consumer, type } = row;
      this.log.error('A claimed message could not be processed; its lease must run out', {
        eventId,
        consumer,
        type,
        error: describeError(error),
      });
    }
  }

  private async conclude(opening: Opening, onStored: () => void): Promise<Outcome> {
    try {
      if (opening.kind === 'unreadable')
        return await this.park(opening, opening.reason, opening.raw.redelivered || opening.mayBeAnother === true);
      const { raw } = opening;
      return await this.oneAtATime(opening.key.eventId, async () => {
        if (opening.kind === 'unhandled') return this.keep(opening);
        const batches = raw.redelivered ? undefined : this.batches.get(opening.handler);
        if (batches && !opening.isMovedBack) return batches.add(opening);
        return this.handle(opening, raw.redelivered ? this.adopted(opening, onStored) : this.fresh(opening, onStored));
      });
    } catch (error) {
      return this.keepUnexpected(opening, error);
    }
  }

  private fresh(message: OpenedMessage, onStored: () => void): Passage {
    const { stores, timeoutMs } = message.handler;
    const claim = new FreshClaim(stores, message, timeoutMs, this.parts.writer);
    return { claim: () => Promise.resolve(claim), onStored, guard: this.beside, isDelivery: true };
  }

  private adopted(message: OpenedMessage, onStored: () => void): Passage {
    return {
      claim: () => adopt(message.handler.stores, message, this.parts.writer),
      onStored,
      guard: this.beside,
      isDelivery: true,
    };
  }

  private held(claim: HeldClaim, guard: Passage['guard'], onStored = NOTHING): Passage {
    return { claim: async () => ((await claim.start()) ? claim : undefined), onStored, guard, isDelivery: false };
  }

  /** slot → claim → attempt → outcome → store, as often as nothing of it counts. */
  private async handle(message: OpenedMessage, first: Passage): Promise<Outcome> {
    const { writer, stop } = this.parts;
    const turn = first.hasSlot ? undefined : this.slots.take();
    if (turn) await turn;
    try {
      let passage = first;
      let conflicts = 0;
      let conflictsEndMs = Number.POSITIVE_INFINITY;
      for (;;) {
        const away = writer.available(message.handler.stores);
        if (away) await away;
        if (stop.aborted) return STOPPING;
        const { outcome, held } = await passage.guard(() => this.once(message, passage, conflictsEndMs));
        if (outcome.kind !== 'undecided') return outcome;
        if (outcome.because === 'taken' && passage.isDelivery && !held) {
          const existing = await this.existing(message, passage);
          if ('kind' in existing) return existing;
          passage = existing;
        } else if (outcome.because === 'conflict') {
          conflicts += 1;
          if (conflicts === 1) conflictsEndMs = performance.now() + this.conflictMs(message);
          await writer.pause(backoffMs(CONFLICT_BACKOFF, conflicts));
          if (held) passage = this.held(held, passage.guard);
        } else if (outcome.because !== 'unavailable' || held) {
          return outcome;
        }
      }
    } finally {
      if (!first.hasSlot) this.slots.give();
    }
  }

  private conflictMs({ handler }: OpenedMessage): number {
    return handler.timeoutMs * CONFLICT_TIMEOUTS;
  }

  /** claim → attempt → outcome → store, once. */
  private async once(
    message: OpenedMessage,
    passage: Passage,
    conflictsEndMs: number,
  ): Promise<{ readonly outcome: Outcome; readonly held?: HeldClaim }> {
    const claim = await passage.claim();
    if (!claim) return { outcome: this.parts.stop.aborted ? STOPPING : TAKEN };
    if (claim.isOwned) passage.onStored();
    const ended = await this.attempt(message, claim);
    const outcome = ended.kind === 'undecided' ? this.judge(message, claim, ended, conflictsEndMs) : ended;
    if (outcome.kind !== 'undecided' || outcome.because !== 'unavailable') this.outages.delete(message.key.eventId);
    return { outcome: await this.store(message, claim, outcome), held: claim.isOwned ? claim : undefined };
  }

  private async attempt(message: OpenedMessage, claim: Claim): Promise<Outcome> {
    const { handler } = message;
    // Conversions and rules are the application's: they may kill the process as well.
    const read = readPayload(message, this.parts.stop);
    const reading = 'then' in read ? await read : read;
    if (!reading) return STOPPING;
    if (reading.kind === 'invalid' && claim.parksInvalid)
      return { kind: 'rejected', reason: reading.reason, isParked: true };
    if (reading.kind !== 'event') return failedAttempt(reading.reason, claim.attempt, handler);
    if (claim.isOwned && claim.key.eventId !== message.key.eventId) {
      const renamed = await claim.rename(message);
      if (renamed === undefined) return STOPPING;
      if (!renamed) return this.besideItsRow(message, claim);
    }
    return this.parts.attempts.run({
      handler,
      number: claim.attempt,
      begin: async (manager, idleLimitMs) => ((await claim.begin(manager, idleLimitMs)) ? [reading.message] : []),
    });
  }

  /** What was kept by its bytes has a row by its own id as well. */
  private async besideItsRow(message: OpenedMessage, claim: HeldClaim): Promise<Outcome> {
    const { stores } = this.queue;
    const row = await this.parts.writer.persist(stores, async () => (await stores.inbox.find(message.key)) ?? null);
    if (row === undefined) return STOPPING;
    if (row && isAnother(message, row)) return { kind: 'rejected', reason: anotherBody(row), isParked: true };
    await claim.drop();
    return row?.status === 'handled' ? HANDLED : TAKEN;
  }

  /** Outages and conflicts cost no attempt, unless they hit the same message again and again: the message may be what causes them. */
  private judge(message: OpenedMessage, claim: Claim, ended: Undecided, conflictsEndMs: number): Outcome {
    const { eventId } = message.key;
    const { handler } = message;
    if (ended.because === 'conflict') {
      const reason = describeError(ended.error);
      if (performance.now() < conflictsEndMs) {
        this.tellConflict(message, reason);
        return ended;
      }
      const why = `other transactions were in its way for ${this.conflictMs(message)} ms: ${reason}`;
      return failedAttempt(why, claim.attempt, handler);
    }
    if (ended.because !== 'unavailable' || !ended.started) return ended;
    const outages = (this.outages.get(eventId) ?? 0) + 1;
    this.outages.set(eventId, outages);
    if (outages <= UNCOUNTED_OUTAGES) return ended;
    const why = `the database went away during ${outages} attempts in a row: ${describeError(ended.error)}`;
    return failedAttempt(why, claim.attempt, handler);
  }

  private async store(message: OpenedMessage, claim: Claim, outcome: Outcome): Promise<Outcome> {
    const { writer, wakeups } = this.parts;
    switch (outcome.kind) {
      case 'handled':
        if (message.isMovedBack) await this.unpark(message);
        return outcome;
      case 'undecided':
        if (outcome.because === 'taken' && claim.isOwned) this.claimLost(claim);
        if (outcome.because === 'unavailable' && !outcome.isBack)
          await writer.recovered(message.handler.stores, outcome.error);
        if (claim.isOwned && (outcome.because === 'unavailable' || outcome.because === 'stopping')) {
          await claim.giveBack();
          wakeups.wake('retry');
        }
        return outcome;
      default:
        return this.storeFailure(message, claim, outcome);
    }
  }

  private async storeFailure(message: Opening, claim: Claim, failure: Failure): Promise<Outcome> {
    const isParked = 'isParked' in failure && failure.isParked;
    if (isParked && !claim.isOwned) return this.park(message, failure.reason, message.raw.redelivered);
    const settled = await claim.settle(failure);
    if (settled === undefined) return STOPPING;
    if (!settled) {
      if (claim.isOwned) this.claimLost(claim);
      return TAKEN;
    }
    this.tell({ ...claim.key, attempt: claim.attempt }, failure);
    if (isParked) this.showParked(message, failure.reason);
    return failure;
  }

  /**
   * The inbox has a row for the message already. One that was given up may have been sent again by hand, or moved back out of the
   * parking queue; one of another publisher may be another message.
   * @returns how the message stands, or how to go on with it
   */
  private async existing(message: OpenedMessage, { onStored }: Passage): Promise<Outcome | Passage> {
    const { writer } = this.parts;
    const { stores, timeoutMs } = message.handler;
    const { redrives } = message.stored;
    const found = await this.find(message);
    if (!found) return found === undefined ? STOPPING : this.duplicate(message.key, HANDLED);
    const { key, row } = found;
    if (isAnother(message, row)) return this.park(message, anotherBody(row), message.raw.redelivered);
    const isGivenUp = row.status === 'dead' || row.status === 'rejected';
    if (isGivenUp && (redrives > row.redrives || message.isMovedBack)) {
      const claim = { token: randomUUID(), leaseMs: handlingLeaseMs(timeoutMs) };
      const anew = await writer.persist(
        stores,
        async () => (await stores.inbox.claimAnew(key, redrives, message.isMovedBack, claim)) ?? null,
      );
      if (anew === undefined) return STOPPING;
      if (anew) {
        onStored();
        return this.held(new HeldClaim(stores, key, claim, anew, true, writer), this.beside);
      }
    }
    return this.duplicate(message.key, outcomeOfRow(row));
  }

  /** By its own id, or the one that was made of its bytes. @returns null: there is none; undefined: the process is stopping */
  private async find({ key, parkingKey }: Exclude<Opening, UnreadableMessage>): Promise<FoundRow | null | undefined> {
    const { stores } = this.queue;
    return this.parts.writer.persist(stores, async () => {
      for (const each of [key, parkingKey()]) {
        const row = await stores.inbox.find(each);
        if (row) return { key: each, row };
      }
      return null;
    });
  }

  /** The inbox has a row that nothing more is done with. */
  private async outcomeOfExisting(message: Exclude<Opening, UnreadableMessage>): Promise<Outcome> {
    const found = await this.find(message);
    return found === undefined ? STOPPING : this.duplicate(message.key, outcomeOfRow(found?.row));
  }

  private duplicate({ eventId, type, consumer }: InboxKey, outcome: Outcome): Outcome {
    this.parts.hooks.run('duplicate', { eventId, type, consumer });
    return outcome;
  }

  private async concludeRow(
    { row, token }: ClaimedRow,
    opening: Opening,
    guard: Passage['guard'],
    hasSlot: boolean,
  ): Promise<Outcome> {
    const { options, writer } = this.parts;
    const { stores } = this.queue;
    const lease = { token, leaseMs: this.leaseMs };
    const isOfBytes = row.eventId === opening.parkingKey().eventId;
    const claim = new HeldClaim(stores, row, lease, row, isOfBytes, writer);
    if (row.unfinishedStarts >= options.consume.maxUnfinishedStarts) {
      const reason = `started ${row.unfinishedStarts} times and never finished; it may be killing its process`;
      return this.storeFailure(opening, claim, { kind: 'dead', reason });
    }
    if (opening.kind === 'opened') return this.handle(opening, { ...this.held(claim, guard), hasSlot });
    const started = await claim.start();
    if (!started) return started === undefined ? STOPPING : TAKEN;
    const failure: Failure =
      opening.kind === 'unreadable' && isOfBytes
        ? { kind: 'rejected', reason: opening.reason, isParked: true }
        : failedAttempt(opening.reason, claim.attempt, options.consume);
    return this.storeFailure(opening, claim, failure);
  }

  /** Nobody here handles its version: the inbox has it until a release does. */
  private async keep(message: UnhandledMessage): Promise<Outcome> {
    const { options, writer } = this.parts;
    const claim = new FreshClaim(this.queue.stores, message, options.consume.timeoutMs, writer);
    const outcome = await this.storeFailure(message, claim, {
      kind: 'waits',
      reason: `${message.reason}; it waits for a release that does`,
      retryInMs: options.consume.waitForHandlerHours * HOUR_MS,
    });
    return outcome === TAKEN ? this.outcomeOfExisting(message) : outcome;
  }

  /** Something that should not happen has. The inbox has the message, as a failed attempt, so that it holds up nobody. */
  private async keepUnexpected(opening: Opening, error: unknown): Promise<Outcome> {
    const { options, writer } = this.parts;
    const { queue, messageId } = opening.raw;
    const reason = describeError(error);
    try {
      const claim = new FreshClaim(this.queue.stores, opening, options.consume.timeoutMs, writer);
      const outcome = await this.storeFailure(opening, claim, failedAttempt(reason, 1, options.consume));
      return outcome === TAKEN && opening.kind !== 'unreadable' ? await this.outcomeOfExisting(opening) : outcome;
    } catch {
      this.log.error('A message could not be processed; it stays unacknowledged, and goes back with its channel', {
        queue,
        messageId,
        error: reason,
      });
      return STOPPING;
    }
  }

  /**
   * Put a message aside that no handler can take: in the inbox, and a copy in the consumer's parking queue.
   * @param isAgain also when it had been put aside before
   */
  private async park(message: Opening, reason: string, isAgain: boolean): Promise<Outcome> {
    const { stores } = this.queue;
    const key = message.parkingKey();
    const isNew = await this.parts.writer.persist(stores, () => stores.inbox.park(key, message.stored, reason));
    if (isNew === undefined) return STOPPING;
    // The same bytes again, for example published again by a producer that was not told: they are parked already.
    if (isNew || isAgain || message.isMovedBack) this.showParked(message, reason);
    return { kind: 'rejected', reason, isParked: true };
  }

  private showParked(message: Opening, reason: string): void {
    const { queue, messageId } = message.raw;
    const { consumer } = this.queue;
    this.parking.add(message.raw, reason);
    this.log.error('A message was parked: no handler can take it', {
      queue,
      consumer,
      messageId: messageId && storableText(messageId, 255),
      parkingId: message.parkingKey().eventId,
      reason,
    });
    this.parts.hooks.run('parked', { queue, consumer, messageId, reason });
  }

  /** Its handling has ended well: it is no longer put aside. */
  private async unpark(message: OpenedMessage): Promise<void> {
    const { stores } = this.queue;
    await this.parts.writer.persist(stores, () => stores.inbox.unpark(message.parkingKey()));
  }

  private tell({ eventId, type, consumer, attempt }: HandlingRef, failure: Failure): void {
    const { hooks, wakeups } = this.parts;
    const { outcome, retryAfterMs: retryInMs } = reportOf(failure);
    const { reason } = failure;
    const ref = { eventId, type, consumer, attempt };
    switch (failure.kind) {
      case 'waits':
        this.log.warn('An event waits for a release that handles its version', { ...ref, reason, retryInMs });
        return;
      case 'retry':
        this.log.warn('A handler failed; the event is tried again', { ...ref, reason, retryInMs });
        wakeups.wake('retry', failure.retryInMs);
        break;
      default:
        this.log.error('An event is given up by its consumer', { ...ref, outcome, reason });
    }
    hooks.run('handlingFailed', { ...ref, reason, retryInMs, outcome });
  }

  /** Once, as long as they go on. */
  private tellConflict({ key, handler }: OpenedMessage, reason: string): void {
    const sinceMs = performance.now() - this.conflictToldMs;
    this.conflictToldMs = performance.now();
    if (sinceMs < CONFLICTS_QUIET_MS) return;
    const { consumer, type } = this.queue;
    this.log.warn(
      'Transactions of a handler fail because of others that run beside them; they are run again, and no attempt is counted',
      { consumer, type, eventId: key.eventId, handler: handler.label, reason },
    );
  }

  private claimLost({ key, attempt }: Claim): void {
    const { eventId, consumer, type } = key;
    this.log.warn('An attempt found that its claim had been lost; the other claim stands', {
      eventId,
      consumer,
      type,
      attempt,
    });
  }

  /** Tell the producer. */
  private report(
    { receiptAddress }: Opening,
    outcome: Exclude<Outcome, Undecided>,
    redrives = receiptAddress?.redrives ?? 0,
  ): void {
    if (!receiptAddress) return;
    const { queue, ...receipt } = receiptAddress;
    this.parts.receipts.add(queue, { ...receipt, redrives, consumer: this.queue.consumer, ...reportOf(outcome) });
  }

  /**
   * A lost connection to the broker delivers again what still runs here: without this each copy would wait in the database for the
   * first one, and take a connection from it.
   */
  private async oneAtATime<T>(eventId: string, work: () => Promise<T>): Promise<T> {
    for (let same = this.inHand.get(eventId); same; same = this.inHand.get(eventId)) await same.catch(() => undefined);
    const running = work();
    this.inHand.set(eventId, running);
    try {
      return await running;
    } finally {
      if (this.inHand.get(eventId) === running) this.inHand.delete(eventId);
    }
  }
}

/** Whether the row is of another message that was given the same id and type. This library's own ids are never given twice. */
function isAnother({ stored }: OpenedMessage, { bodyHash }: InboxRow): boolean {
  return bodyHash !== null && stored.bodyHash !== null && !bodyHash.equals(stored.bodyHash);
}

function anotherBody({ status }: InboxRow): string {
  return `its messageId and type are those of another message, received before with another body (${status})`;
}
