import type { PublishOutcome, Transport } from '../broker/transport';
import type { StoreSet } from '../database/stores';
import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import { describeError } from '../log/describe-error';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';
import { WarningDigest } from '../log/warning-digest';
import type { ResolvedOptions } from '../options/resolved-options';
import { finishesWithin } from '../wait/deadline';
import { Signal } from '../wait/signal';
import type { GiveUp } from './give-up';
import { Pace } from './pace';
import { type MessageOrigin, type Publication, toMessages, worse } from './publication';
import { PublishQueue, type QueuedPublication } from './publish-queue';
import { Settler } from './settler';

const STOPPING = 'this process is stopping';
const FULL = 'the publish buffer is full';
const SHORT_LEASE = 'it waited in memory until its lease was nearly over';
/** None was left to the compensation task for so long, in milliseconds: publishing keeps up again. */
const QUIET_MS = 10_000;

type ClaimedEventRef = Pick<Publication, 'id' | 'type' | 'token'>;

/** What a publisher that stops did with the events that it held. */
export interface PublisherSummary {
  /** They were on their way, and the broker has answered. */
  readonly finished: number;
  /** They waited, and are due at once for another instance. */
  readonly givenBack: number;
  /** Their outcomes are not known or not written: published again when their leases have run out. */
  readonly leftToLease: number;
}

/**
 * Publishes the claimed events of one outbox: queue → pace → window of unconfirmed messages → outcome → settle.
 *
 *   offer()  events just committed; when there is no room or no broker they are left to the compensation task (`deferred`)
 *   submit() events that a job has claimed; waits for room, so that a backlog flows at the speed of the broker
 *
 * Everything held in memory is bounded: the queue and the window by count and bytes, and the outcomes not yet written, which
 * have a second window. The row is the truth; whatever is dropped here is found again when its lease has run out.
 */
export class Publisher {
  private readonly logger = createLog();
  private readonly failures = new WarningDigest((details) =>
    this.logger.warn('An event could not be published', details),
  );
  private readonly deferrals = new Outage(this.logger, {
    begins: 'Events wait in the outbox for the compensation task',
    ends: 'Events are published as soon as they are committed again',
  });
  private readonly queue: PublishQueue;
  private readonly pace = new Pace();
  private readonly settler: Settler;
  /** Given whenever there may be more room, or nothing left. */
  private readonly room = new Signal();
  private inFlight = 0;
  private inFlightBytes = 0;
  private isPumpDue = false;
  private waitsForSettler = false;
  private paceTimer: NodeJS.Timeout | undefined;
  private stopped = false;
  /** Since it was stopped. */
  private givenBack = 0;

  constructor(
    private readonly origin: MessageOrigin,
    private readonly options: ResolvedOptions['publish'],
    store: Pick<StoreSet, 'outbox' | 'database'>,
    private readonly transport: Pick<Transport, 'status' | 'publish'>,
    private readonly giveUp: GiveUp,
    private readonly hooks: HookRunner,
    wakeups: Wakeups,
  ) {
    this.queue = new PublishQueue(options.bufferSize, options.bufferBytes);
    this.settler = new Settler(store, options.leaseMs, hooks, wakeups);
  }

  // ---- Taking over -----------------------------------------------------------------------------------------------------

  /** Take over events whose transaction has just committed. Never waits, never throws. */
  offer(publications: readonly Publication[]): void {
    const problem = this.problem();
    for (const publication of publications) {
      if (problem !== undefined) this.leave(publication, problem);
      else if (!this.enqueue(publication)) this.defer(publication, FULL);
    }
    this.pump();
  }

  /** Take over events that a job has claimed, as soon as there is room for them. */
  async submit(publications: readonly Publication[]): Promise<void> {
    for (const publication of publications) {
      while (!this.stopped && !this.enqueue(publication)) await this.room.next();
      if (this.stopped) this.release(publication, STOPPING);
    }
    this.pump();
    // The next batch is claimed while this one is on its way, but not more than that ahead: leases are running.
    while (!this.stopped && this.queue.size >= this.options.windowSize) await this.room.next();
    // Outcomes too, of publishing and of looking again: they are claimed until they are written.
    while (!this.stopped && this.settler.size >= 2 * this.options.windowSize) {
      this.settler.hurry();
      await this.settler.shrunk();
    }
  }

  /** Give up an event that a job has claimed, without publishing it again. */
  giveUpOn({ id, type, token }: ClaimedEventRef, reason: string): void {
    this.settler.add({ id, type, token, result: 'dead', delayMs: 0, reason });
  }

  /** Look again later at a published event that a job has claimed and does not publish again now; no attempt is counted. */
  postpone({ id, type, token }: ClaimedEventRef, reason: string, delayMs: number): void {
    this.settler.add({ id, type, token, result: 'postponed', delayMs, reason, isPublished: true });
  }

  /** @returns false when there is no room */
  private enqueue(publication: Publication): boolean {
    if (this.queue.push(publication)) return true;
    this.pump();
    return this.queue.push(publication);
  }

  // ---- Publishing ------------------------------------------------------------------------------------------------------

  /** Publishes what may leave now, and sees to it that the rest follows: with a confirm, a written outcome, or in a moment. */
  private pump(): void {
    if (this.queue.size > 0 && this.problem() === undefined) this.publishBurst();
    const problem = this.queue.size > 0 ? this.problem() : undefined;
    if (problem !== undefined) this.releaseQueue(problem);
    this.room.give();
  }

  private publishBurst(): void {
    if (!this.hasWindow()) return this.pumpWhenSettled();
    const waitMs = this.pace.waitMs(this.queue.size);
    if (waitMs > 0) return this.pumpIn(waitMs);
    let size = 0;
    while (this.hasWindow() && this.problem() === undefined) {
      const next = this.queue.shift();
      if (!next) break;
      if (this.leaseIsShort(next.publication)) this.release(next.publication, SHORT_LEASE);
      else {
        this.publish(next);
        size += 1;
      }
    }
    this.pace.left(size);
  }

  /** Outcomes are written while the next messages are on their way: those not written yet have a window of their own. */
  private hasWindow(): boolean {
    const { windowSize, bufferBytes } = this.options;
    if (this.inFlightBytes >= bufferBytes) return false;
    return this.inFlight < windowSize && this.inFlight + this.settler.size < 2 * windowSize;
  }

  private publish({ publication, bytes }: QueuedPublication): void {
    const { id, type, attempt } = publication;
    this.inFlight += 1;
    this.inFlightBytes += bytes;
    this.hooks.run('publishing', { eventId: id, type, attempt });
    this.hand(publication, (outcome) => {
      this.inFlight -= 1;
      this.inFlightBytes -= bytes;
      this.finish(publication, outcome);
    });
    this.hooks.run('sent', { eventId: id, type });
  }

  /**
   * Hands an event's messages to the transport. A transport that throws says nothing about the message; one that cannot be made is
   * itself at fault.
   * @param done called once, with the worst outcome of all, and never before this returns
   */
  private hand(publication: Publication, done: (outcome: PublishOutcome) => void): void {
    try {
      const messages = toMessages(publication, this.origin);
      // Nobody is missing any more: the receipt that says so is about to end it.
      if (messages.length === 0) return later(done, { status: 'routed' });
      let open = messages.length;
      let worst: PublishOutcome | undefined;
      const answer = (outcome: PublishOutcome): void => {
        worst = worse(worst, outcome);
        open -= 1;
        if (open === 0) done(worst);
      };
      for (const message of messages) {
        try {
          this.transport.publish(message, answer);
        } catch (error) {
          later(answer, { status: 'unavailable', reason: `the transport failed: ${describeError(error)}` });
        }
      }
    } catch (error) {
      later(done, { status: 'refused', reason: `the message cannot be made: ${describeError(error)}` });
    }
  }

  private finish(publication: Publication, outcome: PublishOutcome): void {
    const { id, type, attempt } = publication;
    const reason = outcome.status === 'routed' ? undefined : outcome.reason;
    this.hooks.run('confirmed', {
      eventId: id,
      type,
      outcome: outcome.status,
      ...(reason !== undefined && { reason }),
    });
    const settlement = this.giveUp.afterPublish(publication, attempt, outcome);
    if (settlement.result === 'retry') this.failures.add(id, { type, reason: reason ?? '' }, { attempt });
    if (settlement.result === 'published') this.deferrals.overIfQuiet(QUIET_MS);
    this.settler.add(settlement);
    this.pumpSoon();
  }

  // ---- Going on --------------------------------------------------------------------------------------------------------

  /** Once for all messages that one answer of the broker is about. */
  private pumpSoon(): void {
    if (this.isPumpDue) return;
    this.isPumpDue = true;
    queueMicrotask(() => {
      this.isPumpDue = false;
      this.pump();
    });
  }

  private pumpIn(delayMs: number): void {
    this.paceTimer ??= setTimeout(() => {
      this.paceTimer = undefined;
      this.pump();
    }, delayMs);
  }

  /** The window may be full of outcomes alone, and then no confirm will come. */
  private pumpWhenSettled(): void {
    if (this.settler.size === 0 || this.waitsForSettler) return;
    this.waitsForSettler = true;
    this.settler.hurry();
    void this.settler.shrunk().then(() => {
      this.waitsForSettler = false;
      this.pump();
    });
  }

  // ---- Giving back -----------------------------------------------------------------------------------------------------

  /** Why nothing can be published now; undefined: it can. */
  private problem(): string | undefined {
    if (this.stopped) return STOPPING;
    try {
      const { available, reason } = this.transport.status();
      return available ? undefined : (reason ?? 'the broker is not available');
    } catch (error) {
      return `the transport failed: ${describeError(error)}`;
    }
  }

  private leaseIsShort(publication: Publication): boolean {
    const left = this.options.leaseMs - (performance.now() - publication.claimedAtMs);
    return left < this.options.confirmTimeoutMs;
  }

  /**
   * A committed event that cannot be published now is due at once, so that it need not wait for the end of its lease when the
   * broker is back, or when another instance could publish it. Unless outcomes are not written as fast as that.
   */
  private leave(publication: Publication, reason: string): void {
    if (this.settler.size < this.options.windowSize) this.release(publication, reason);
    else this.defer(publication, reason);
  }

  private releaseQueue(reason: string): void {
    for (let next = this.queue.shift(); next; next = this.queue.shift()) this.release(next.publication, reason);
  }

  /** A claimed event that will not be published now: due again at once, its attempt not counted. */
  private release(publication: Publication, reason: string): void {
    const { id, type, token } = publication;
    this.settler.add({ id, type, token, result: 'postponed', delayMs: 0, reason });
    if (this.stopped) this.givenBack += 1;
    this.defer(publication, reason);
  }

  /** No statement more for this one: its row keeps the lease that it has. */
  private defer({ id, type }: Publication, reason: string): void {
    this.hooks.run('deferred', { eventId: id, type, reason });
    if (!this.stopped) this.deferrals.met({ eventId: id, type, reason });
  }

  // ---- Ending ----------------------------------------------------------------------------------------------------------

  /** Resolves when everything that was taken over is settled. */
  async idle(): Promise<void> {
    while (this.queue.size > 0 || this.inFlight > 0) await this.room.next();
    await this.settler.idle();
    if (this.queue.size > 0 || this.inFlight > 0) await this.idle();
  }

  /**
   * Take nothing more, finish what is in flight, and give back what is still in the queue: due at once for another instance,
   * its attempt not counted. Resolves after `drainMs` at the latest; what is left then keeps its lease.
   */
  async stop(drainMs: number): Promise<PublisherSummary> {
    this.stopped = true;
    const wereInFlight = this.inFlight;
    this.releaseQueue(STOPPING);
    clearTimeout(this.paceTimer);
    this.room.give();
    await finishesWithin(drainMs, this.idle());
    const summary = {
      finished: wereInFlight - this.inFlight,
      givenBack: this.givenBack,
      leftToLease: this.inFlight + this.settler.size,
    };
    this.failures.flush();
    this.settler.stop();
    return summary;
  }
}

/** Not a microtask: a caller that publishes again at once must not starve the sockets. */
function later(done: (outcome: PublishOutcome) => void, outcome: PublishOutcome): void {
  setImmediate(() => done(outcome));
}
