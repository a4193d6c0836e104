import type { HookRunner } from '../event/hook-runner';
import type { Wakeups } from '../event/wakeups';
import { WarningDigest } from '../log/warning-digest';
import type { OutboxStore } from '../outbox/outbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { OutgoingMessage, PublishOutcome, Transport } from '../broker/transport';
import { type Burst, Bursts } from './bursts';
import type { GiveUp } from './give-up';
import { type MessageOrigin, type Publication, toMessages, worse } from './publication';
import { type BufferedPublication, PublishBuffer } from './publish-buffer';
import { type Settlement, Settler } from './settler';
import { createLog } from '../log/log';

const STOPPING = 'this process is stopping';
const UNAVAILABLE = 'the broker is not available';
const LOG_EVERY_DEFERRED = 1000;

/**
 * Publishes the claimed events of one outbox: buffer → window of unconfirmed messages → settle.
 *
 *   offer()  events just committed; when there is no room or no broker they are left to the compensation task (`deferred`)
 *   submit() events that a job has claimed; waits for room, so that a backlog flows at the speed of the broker
 *
 * Everything held in memory is bounded: the buffer and the window by count and bytes, and the outcomes not yet written, which
 * have a second window. The row is the truth; whatever is dropped here is found again when its lease has run out.
 */
export class Publisher {
  private readonly logger = createLog();
  private readonly buffer: PublishBuffer;
  private readonly settler: Settler;
  private readonly failures = new WarningDigest((details) =>
    this.logger.warn('An event could not be published', details),
  );
  private readonly bursts = new Bursts(() => this.pump());
  private readonly waitingForRoom: (() => void)[] = [];
  private inFlight = 0;
  private inFlightBytes = 0;
  private pumping = false;
  private isPumpDue = false;
  private stopped = false;
  private deferredSinceLog = 0;

  constructor(
    private readonly origin: MessageOrigin,
    private readonly options: ResolvedOptions['publish'],
    outbox: OutboxStore,
    private readonly transport: Transport,
    private readonly giveUp: GiveUp,
    private readonly hooks: HookRunner,
    private readonly wakeups: Wakeups,
  ) {
    this.buffer = new PublishBuffer(options.bufferSize, options.bufferBytes);
    this.settler = new Settler(outbox, options.leaseMs, hooks, {
      onProgress: () => this.pump(),
      onWritten: (settlement) => this.afterSettle(settlement),
    });
  }

  /** Take over events whose transaction has just committed. Never waits, never throws. */
  offer(publications: readonly Publication[]): void {
    const { available, reason } = this.transport.status();
    for (const publication of publications) {
      if (this.stopped) this.leave(publication, STOPPING);
      else if (!available) this.leave(publication, reason ?? UNAVAILABLE);
      else if (!this.buffer.push(publication) && !this.pumpAndPush(publication)) {
        this.defer(publication, 'the publish buffer is full');
      }
    }
    this.pump();
  }

  /** Take over events that a job has claimed, as soon as there is room for them. */
  async submit(publications: readonly Publication[]): Promise<void> {
    for (const publication of publications) {
      while (!this.stopped && !this.buffer.push(publication)) {
        this.pump();
        await this.room();
      }
      if (this.stopped) this.release(publication, STOPPING);
    }
    this.pump();
    // The next batch is claimed while this one is on its way, but not more than that ahead: leases are running.
    while (!this.stopped && this.buffer.size >= this.options.windowSize) await this.room();
    // Outcomes too, of publishing and of looking again: they are claimed until they are written.
    while (!this.stopped && this.settler.size >= 2 * this.options.windowSize) {
      this.settler.hurry();
      await this.room();
    }
  }

  /** Give up an event that a job has claimed, without publishing it again. */
  giveUpOn(publication: Pick<Publication, 'id' | 'type' | 'token'>, reason: string): void {
    const { id, type, token } = publication;
    this.settler.add({ id, type, token, result: 'dead', delayMs: 0, reason });
  }

  /** Look again later at a published event that a job has claimed and does not publish again now; no attempt is counted. */
  postpone(publication: Pick<Publication, 'id' | 'type' | 'token'>, reason: string, delayMs: number): void {
    const { id, type, token } = publication;
    this.settler.add({ id, type, token, result: 'postponed', delayMs, reason, isPublished: true });
  }

  /** Resolves when everything that was taken over is settled. */
  async idle(): Promise<void> {
    while (this.buffer.size > 0 || this.inFlight > 0 || this.settler.size > 0) {
      this.settler.hurry();
      await this.room();
    }
    await this.settler.idle();
  }

  /**
   * Take nothing more, finish what is in flight, and give back what is still in the buffer: due at once for another instance,
   * its attempt not counted. Resolves after `drainMs` at the latest; what is left then keeps its lease.
   */
  async stop(drainMs: number): Promise<void> {
    this.stopped = true;
    this.releaseBuffer(STOPPING);
    this.wakeWaiting();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([this.idle(), deadline]);
    clearTimeout(timer);
    this.failures.flush();
    this.bursts.stop();
    this.settler.stop();
  }

  private pumpAndPush(publication: Publication): boolean {
    this.pump();
    return this.buffer.push(publication);
  }

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    const { available, reason } = this.transport.status();
    if (!available) this.releaseBuffer(reason ?? UNAVAILABLE);
    else if (this.buffer.size > 0) this.publishBuffered();
    this.pumping = false;
    this.wakeWaiting();
  }

  private publishBuffered(): void {
    if (!this.hasWindow()) return this.settler.hurry();
    if (!this.bursts.mayGo(this.buffer.size)) return;
    this.bursts.begin();
    while (this.hasWindow() && this.transport.status().available) {
      const next = this.buffer.shift();
      if (!next) break;
      if (this.leaseIsShort(next.publication))
        this.release(next.publication, 'it waited in memory until its lease was nearly over');
      else this.publish(next);
    }
    this.bursts.end();
    const { available, reason } = this.transport.status();
    if (!available) this.releaseBuffer(reason ?? UNAVAILABLE);
  }

  /** Outcomes are written while the next messages are on their way: those not written yet have a window of their own. */
  private hasWindow(): boolean {
    const { windowSize, bufferBytes } = this.options;
    if (this.inFlightBytes >= bufferBytes) return false;
    return this.inFlight < windowSize && this.inFlight + this.settler.size < 2 * windowSize;
  }

  private publish(buffered: BufferedPublication): void {
    const { publication, bytes } = buffered;
    const event = { eventId: publication.id, type: publication.type };
    const messages = toMessages(publication, this.origin);
    this.hooks.run('publishing', { ...event, attempt: publication.attempt });
    this.inFlight += 1;
    this.inFlightBytes += bytes;
    const burst = this.bursts.add();
    const [message] = messages;
    // Nobody is missing any more: the receipt that says so is about to end it.
    if (!message) setImmediate(() => this.finish(buffered, { status: 'routed' }, burst));
    else if (messages.length === 1) this.transport.publish(message, (outcome) => this.finish(buffered, outcome, burst));
    else this.publishAll(messages, (outcome) => this.finish(buffered, outcome, burst));
    this.hooks.run('sent', event);
  }

  /** @param done called with the worst outcome of all */
  private publishAll(messages: readonly OutgoingMessage[], done: (outcome: PublishOutcome) => void): void {
    let open = messages.length;
    let result: PublishOutcome | undefined;
    for (const message of messages) {
      this.transport.publish(message, (outcome) => {
        result = worse(result, outcome);
        open -= 1;
        if (open === 0) done(result);
      });
    }
  }

  private finish({ publication, bytes }: BufferedPublication, outcome: PublishOutcome, burst: Burst): void {
    this.inFlight -= 1;
    this.inFlightBytes -= bytes;
    this.bursts.confirmed(burst);
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
    this.settler.add(settlement);
    this.pumpSoon();
  }

  /** Once for all messages that one answer of the broker is about. */
  private pumpSoon(): void {
    if (this.isPumpDue) return;
    this.isPumpDue = true;
    queueMicrotask(() => {
      this.isPumpDue = false;
      this.pump();
    });
  }

  /** Only what is written is told: an outcome whose claim was lost is not the event's. */
  private afterSettle({ id, type, result, reason, delayMs, isPublished }: Settlement): void {
    if (result === 'dead') {
      const event = { eventId: id, type, reason: reason ?? '' };
      this.logger.error('An event is dead: its producer gave it up', event);
      this.hooks.run('dead', event);
      this.wakeups.wake('compensate');
    } else if (result !== 'published' && !isPublished) {
      this.wakeups.wake('publish', delayMs);
    }
  }

  private releaseBuffer(reason: string): void {
    for (let next = this.buffer.shift(); next; next = this.buffer.shift()) this.release(next.publication, reason);
  }

  /** A claimed event that will not be published now: due again at once, its attempt not counted. */
  private release(publication: Publication, reason: string): void {
    const { id, type, token } = publication;
    this.settler.add({ id, type, token, result: 'postponed', delayMs: 0, reason });
    this.hooks.run('deferred', { eventId: id, type, reason });
  }

  /**
   * A committed event that cannot be published now is due at once, so that it need not wait for the end of its lease when the
   * broker is back, or when another instance could publish it.
   */
  private leave(publication: Publication, reason: string): void {
    if (this.settler.size < this.options.windowSize) this.release(publication, reason);
    else this.hooks.run('deferred', { eventId: publication.id, type: publication.type, reason });
    this.logDeferred(reason);
  }

  /** More is committed than can be published: no statement more for this one. Its row keeps the lease it was born with. */
  private defer(publication: Publication, reason: string): void {
    this.hooks.run('deferred', { eventId: publication.id, type: publication.type, reason });
    this.logDeferred(reason);
  }

  private logDeferred(reason: string): void {
    if (this.deferredSinceLog === 0)
      this.logger.warn('Events wait in the outbox for the compensation task', { reason });
    this.deferredSinceLog = (this.deferredSinceLog + 1) % LOG_EVERY_DEFERRED;
  }

  private leaseIsShort(publication: Publication): boolean {
    const left = this.options.leaseMs - (performance.now() - publication.claimedAtMs);
    return left < this.options.confirmTimeoutMs;
  }

  private room(): Promise<void> {
    return new Promise<void>((resolve) => this.waitingForRoom.push(resolve));
  }

  private wakeWaiting(): void {
    const waiting = this.waitingForRoom.splice(0);
    for (const wake of waiting) wake();
  }
}
