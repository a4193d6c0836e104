import type { Delivery } from '../broker/transport';
import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import { createLog } from '../log/log';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ReceiptSender } from '../receipt/receipt-sender';
import { OneAtATime } from '../wait/one-at-a-time';
import { type BatchParts, type Batches, batchesOf } from './batch';
import { type Claim, type ClaimedRow, FreshClaim, HeldClaim } from './claim';
import type { Handler } from './handler';
import { HandlingLog } from './handling-log';
import { leaseMsOf, type QueueHandlers } from './handler-registry';
import { KnownMessages } from './known-messages';
import { type OpenedMessage, type Opening, openMessage, openRow, readPayload, type UnhandledMessage } from './message';
import {
  type Failure,
  failedAttempt,
  isParked,
  type Outcome,
  reportOf,
  STOPPING,
  TAKEN,
  type Undecided,
} from './outcome';
import { ParkedMessages } from './parked-messages';
import type { Parking } from './parking';
import { fresh, held, type Passage, redelivered } from './passage';
import type { Slots } from './slots';
import { Conflicts, UncountedAttempts } from './uncounted-attempts';

const HOUR_MS = 60 * 60 * 1000;
const NOTHING = (): void => undefined;

/** What the pipelines of an application share. */
export interface PipelineParts extends BatchParts {
  readonly options: Pick<ResolvedOptions, 'consume'>;
  readonly receipts: ReceiptSender;
  readonly parkingOf: (consumer: string) => Parking;
  readonly hooks: HookRunner;
  readonly wakeups: Wakeups;
}

/**
 * Takes each message of one queue to its end:
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
export class Pipeline {
  private readonly log = createLog();
  private readonly told: HandlingLog;
  private readonly uncounted: UncountedAttempts;
  private readonly known: KnownMessages;
  private readonly parked: ParkedMessages;
  private readonly batches: ReadonlyMap<Handler, Batches>;
  /**
   * By event id: a lost connection to the broker delivers again what still runs here. Without this each copy would wait in the database
   * for the first one, and take a connection from it.
   */
  private readonly inHand = new OneAtATime();

  constructor(
    private readonly queue: QueueHandlers,
    private readonly slots: Slots,
    private readonly parts: PipelineParts,
  ) {
    const { writer, hooks } = parts;
    this.told = new HandlingLog(hooks);
    this.uncounted = new UncountedAttempts(this.told);
    this.known = new KnownMessages(queue, writer, hooks);
    this.parked = new ParkedMessages(queue, parts.parkingOf(queue.consumer), writer, hooks);
    const alone = (message: OpenedMessage): Promise<Outcome> => this.handle(message, fresh(message, writer, NOTHING));
    this.batches = batchesOf(queue, slots, parts, alone);
  }

  /**
   * A message from the broker. Never rejects.
   * @param asideFor why it is to be put aside, and not handled
   */
  async take(delivery: Delivery, asideFor?: string): Promise<void> {
    const { hooks, options } = this.parts;
    const { queue, messageId, redelivered: isRedelivered } = delivery.message;
    const { consumer, type } = this.queue;
    hooks.run('received', { queue, consumer, type, messageId, redelivered: isRedelivered });
    const opened = openMessage(delivery.message, this.queue, options.consume.maxMessageBytes);
    const opening: Opening = asideFor === undefined ? opened : { ...opened, kind: 'unreadable', reason: asideFor };
    let isAcknowledged = false;
    const acknowledge = (): void => {
      if (isAcknowledged) return;
      isAcknowledged = true;
      delivery.ack();
      hooks.run('acknowledged', { queue, consumer, type, messageId });
    };
    let outcome: Outcome;
    try {
      outcome = await this.conclude(opening, acknowledge);
    } catch (error) {
      outcome = await this.keepUnexpected(opening, error);
    }
    if (outcome.kind === 'undecided') return;
    acknowledge();
    this.report(opening, outcome);
  }

  /**
   * The next attempt of what the inbox has. Never rejects.
   * @param isAlone nothing else runs beside it, and its slot is taken
   */
  async takeRow(claimed: ClaimedRow, isAlone: boolean): Promise<void> {
    const { eventId, consumer, type, redrives } = claimed.row;
    try {
      const opening = openRow(claimed.row, this.queue);
      const same = this.inHand.enter(eventId);
      if (same) await same;
      let outcome: Outcome;
      try {
        outcome = await this.concludeRow(claimed, opening, isAlone);
      } finally {
        this.inHand.leave(eventId);
      }
      // The row's number, not the message's: the row may have been redriven by a later copy of the message.
      if (outcome.kind !== 'undecided') this.report(opening, outcome, redrives);
    } catch (error) {
      const ref = { eventId, consumer, type, error: describeError(error) };
      this.log.error('A claimed message could not be processed; its lease must run out', ref);
    }
  }

  private async conclude(opening: Opening, onStored: () => void): Promise<Outcome> {
    const { raw } = opening;
    if (opening.kind === 'unreadable')
      return this.parked.park(opening, opening.reason, raw.redelivered || opening.mayBeAnother === true);
    const { eventId } = opening.key;
    const same = this.inHand.enter(eventId);
    if (same) await same;
    try {
      return await this.bringToEnd(opening, onStored);
    } finally {
      this.inHand.leave(eventId);
    }
  }

  private bringToEnd(opening: OpenedMessage | UnhandledMessage, onStored: () => void): Promise<Outcome> {
    if (opening.kind === 'unhandled') return this.keep(opening);
    const isRedelivered = opening.raw.redelivered;
    const batches = isRedelivered ? undefined : this.batches.get(opening.handler);
    if (batches && !opening.isMovedBack) return batches.add(opening);
    return this.handle(opening, (isRedelivered ? redelivered : fresh)(opening, this.parts.writer, onStored));
  }

  private async concludeRow({ row, token }: ClaimedRow, opening: Opening, isAlone: boolean): Promise<Outcome> {
    const { maxUnfinishedStarts, ...policy } = this.parts.options.consume;
    const isOfBytes = row.eventId === opening.parkingKey().eventId;
    const lease = { token, leaseMs: leaseMsOf(this.queue) };
    const claim = new HeldClaim(this.queue.stores, row, lease, row, isOfBytes, this.parts.writer);
    if (row.unfinishedStarts >= maxUnfinishedStarts) {
      const reason = `started ${row.unfinishedStarts} times and never finished; it may be killing its process`;
      return this.storeFailure(opening, claim, { kind: 'dead', reason });
    }
    if (opening.kind === 'opened') return this.handle(opening, held(claim, isAlone));
    const started = await claim.start();
    if (!started) return started === undefined ? STOPPING : TAKEN;
    if (opening.kind === 'unreadable' && isOfBytes)
      return this.storeFailure(opening, claim, { kind: 'rejected', reason: opening.reason, isParked: true });
    return this.storeFailure(opening, claim, failedAttempt(opening.reason, claim.attempt, policy));
  }

  /** slot → claim → attempt → outcome → store, as often as nothing of it counts. */
  private async handle(message: OpenedMessage, first: Passage): Promise<Outcome> {
    const { writer, isolation, stop } = this.parts;
    const turn = first.isAlone ? undefined : this.slots.take();
    if (turn) await turn;
    try {
      const conflicts = new Conflicts(message.handler);
      let passage = first;
      for (;;) {
        const away = writer.available(message.handler.stores);
        if (away) await away;
        if (stop.aborted) return STOPPING;
        const quiet = first.isAlone ? undefined : isolation.enter();
        if (quiet) await quiet;
        let ended: Awaited<ReturnType<typeof this.once>>;
        try {
          ended = await this.once(message, passage, conflicts);
        } finally {
          if (!first.isAlone) isolation.leave();
        }
        const { outcome, owned } = ended;
        if (outcome.kind !== 'undecided') return outcome;
        if (outcome.because === 'taken' && passage.onStored && !owned) {
          const known = await this.known.resume(message);
          if (!(known instanceof HeldClaim))
            return isParked(known) ? await this.parked.park(message, known.reason, message.raw.redelivered) : known;
          passage.onStored();
          passage = held(known);
        } else if (outcome.because === 'conflict') {
          await writer.pause(conflicts.delayMs);
          if (owned) passage = held(owned, first.isAlone);
        } else if (outcome.because !== 'unavailable' || owned) {
          return outcome;
        }
      }
    } finally {
      if (!first.isAlone) this.slots.give();
    }
  }

  /** claim → attempt → outcome → store, once. */
  private async once(
    message: OpenedMessage,
    passage: Passage,
    conflicts: Conflicts,
  ): Promise<{ readonly outcome: Outcome; readonly owned?: HeldClaim }> {
    const claiming = passage.claim();
    const claim = claiming instanceof Promise ? await claiming : claiming;
    if (!claim) return { outcome: this.parts.stop.aborted ? STOPPING : TAKEN };
    if (claim.isOwned) passage.onStored?.();
    const ended = await this.attempt(message, claim);
    const outcome = ended.kind === 'undecided' ? this.uncounted.judge(message, claim.attempt, ended, conflicts) : ended;
    if (outcome.kind !== 'undecided' || outcome.because !== 'unavailable') this.uncounted.outageIsOver(message);
    const isDone = outcome.kind === 'handled' && !message.isMovedBack;
    const stored = isDone ? outcome : await this.store(message, claim, outcome);
    return { outcome: stored, owned: claim.isOwned ? claim : undefined };
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
      if (!renamed) return this.known.dropCopy(message, claim);
    }
    return this.parts.attempts.run({
      handler,
      candidates: [reading.message],
      number: claim.attempt,
      begin: async (manager, idleLimitMs) => ((await claim.begin(manager, idleLimitMs)) ? [reading.message] : []),
    });
  }

  private async store(message: OpenedMessage, claim: Claim, outcome: Outcome): Promise<Outcome> {
    const { writer, wakeups } = this.parts;
    if (outcome.kind === 'handled') {
      if (message.isMovedBack) await this.parked.forget(message);
      return outcome;
    }
    if (outcome.kind !== 'undecided') return this.storeFailure(message, claim, outcome);
    const { because, error, isBack } = outcome;
    if (because === 'taken' && claim.isOwned) this.told.claimLost(claim);
    if (because === 'unavailable' && !isBack) await writer.recovered(message.handler.stores, error);
    if (claim.isOwned && (because === 'unavailable' || because === 'stopping')) {
      await claim.giveBack();
      wakeups.wake('retry');
    }
    return outcome;
  }

  private async storeFailure(message: Opening, claim: Claim, failure: Failure): Promise<Outcome> {
    if (isParked(failure) && !claim.isOwned) return this.parked.park(message, failure.reason, message.raw.redelivered);
    let settled: boolean | undefined;
    try {
      settled = await claim.settle(failure);
    } catch (error) {
      return this.parked.leaveToBroker(message, failure.reason, error);
    }
    if (settled === undefined) return STOPPING;
    if (!settled) {
      if (claim.isOwned) this.told.claimLost(claim);
      return TAKEN;
    }
    this.told.failed({ ...claim.key, attempt: claim.attempt }, failure);
    if (failure.kind === 'retry') this.parts.wakeups.wake('retry', failure.retryInMs);
    if (isParked(failure)) this.parked.show(message, failure.reason);
    return failure;
  }

  /** Nobody here handles its version: the inbox has it until a release does. */
  private async keep(message: UnhandledMessage): Promise<Outcome> {
    const { waitForHandlerHours } = this.parts.options.consume;
    const reason = `${message.reason}; it waits for a release that does`;
    return this.storeUnclaimed(message, { kind: 'waits', reason, retryInMs: waitForHandlerHours * HOUR_MS });
  }

  /** Something that should not happen has. The inbox has the message, as a failed attempt, so that it holds up nobody. */
  private async keepUnexpected(opening: Opening, unexpected: unknown): Promise<Outcome> {
    const { queue, messageId } = opening.raw;
    const error = describeError(unexpected);
    try {
      return await this.storeUnclaimed(opening, failedAttempt(error, 1, this.parts.options.consume));
    } catch {
      const ref = { queue, messageId, error };
      this.log.error('A message could not be processed; it stays unacknowledged, and goes back with its channel', ref);
      return STOPPING;
    }
  }

  private async storeUnclaimed(opening: Opening, failure: Failure): Promise<Outcome> {
    const { options, writer } = this.parts;
    const claim = new FreshClaim(this.queue.stores, opening, options.consume.timeoutMs, writer);
    const outcome = await this.storeFailure(opening, claim, failure);
    return outcome === TAKEN && opening.kind !== 'unreadable' ? this.known.outcomeOf(opening) : outcome;
  }

  /** Tell the producer. */
  private report(
    { receiptAddress }: Opening,
    outcome: Exclude<Outcome, Undecided>,
    redrives = receiptAddress?.redrives ?? 0,
  ): void {
    if (!receiptAddress) return;
    const { queue, source, eventId } = receiptAddress;
    const { consumer } = this.queue;
    this.parts.receipts.add(queue, { source, eventId, redrives, consumer, ...reportOf(outcome) });
  }
}
