import { performance } from 'node:perf_hooks';
import { Logger } from '@nestjs/common';
import type { HookRunner } from '../domain/hook-runner';
import type { OutboxStore, PublishSettlement } from '../outbox/outbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { PublishOutcome, Transport } from '../transport/transport';
import type { GiveUp } from './give-up';
import { type MessageOrigin, type Publication, toMessages, worse } from './publication';
import { PublishBuffer } from './publish-buffer';
import { Settler } from './settler';

/**
 * Publishes the claimed events of one outbox: buffer → window of unconfirmed messages → settle.
 *
 *   offer()  events just committed; when there is no room or no broker they are left to the compensation task (`deferred`)
 *   submit() events that a job has claimed; waits for room, so that a backlog flows at the speed of the broker
 *
 * Everything held in memory is bounded: the buffer by count and bytes, the window, and the outcomes not yet written, which
 * count as part of the window. The row is the truth; whatever is dropped here is found again when its lease has run out.
 */
export class Publisher {
  private readonly logger = new Logger('ReliableMq');
  private readonly buffer: PublishBuffer;
  private readonly settler: Settler;
  private readonly waitingForRoom: (() => void)[] = [];
  private inFlight = 0;
  private pumping = false;
  private stopped = false;
  private deferredSinceLog = 0;

  constructor(
    private readonly origin: MessageOrigin,
    private readonly options: ResolvedOptions['publish'],
    outbox: OutboxStore,
    private readonly transport: Transport,
    private readonly giveUp: GiveUp,
    private readonly hooks: HookRunner,
    /** Called with events that ended `dead` here, once that is written. */
    private readonly onDead: () => void,
  ) {
    this.buffer = new PublishBuffer(options.bufferSize, options.bufferBytes);
    this.settler = new Settler(outbox, options.leaseMs, hooks, () => this.pump());
  }

  /** Take over events whose transaction has just committed. Never waits, never throws. */
  offer(publications: readonly Publication[]): void {
    const { available, reason } = this.transport.status();
    for (const publication of publications) {
      if (this.stopped) this.defer(publication, 'this process is stopping');
      else if (!available) this.defer(publication, reason ?? 'the broker is not available');
      else if (!this.buffer.push(publication)) this.defer(publication, 'the publish buffer is full');
    }
    this.pump();
  }

  /** Take over events that a job has claimed, as soon as there is room for them. */
  async submit(publications: readonly Publication[]): Promise<void> {
    for (const publication of publications) {
      while (!this.stopped && !this.buffer.push(publication)) {
        this.pump();
        await new Promise<void>((resolve) => this.waitingForRoom.push(resolve));
      }
      if (this.stopped) this.release(publication, 'this process is stopping');
    }
    this.pump();
    // The next batch is claimed while this one is on its way, but not more than that ahead: leases are running.
    while (!this.stopped && this.buffer.size >= this.options.windowSize) {
      await new Promise<void>((resolve) => this.waitingForRoom.push(resolve));
    }
  }

  /** Write an outcome that needed no publishing (a chase that gives up). */
  settle(settlement: PublishSettlement): void {
    this.settler.add(settlement);
  }

  /** Resolves when everything that was taken over is settled. */
  async idle(): Promise<void> {
    while (this.buffer.size > 0 || this.inFlight > 0 || this.settler.size > 0) {
      await new Promise<void>((resolve) => this.waitingForRoom.push(resolve));
    }
    await this.settler.idle();
  }

  /**
   * Take nothing more, finish what is in flight, and give back what is still in the buffer: due at once for another instance,
   * its attempt not counted. Resolves after `drainMs` at the latest; what is left then keeps its lease.
   */
  async stop(drainMs: number): Promise<void> {
    this.stopped = true;
    for (let next = this.buffer.shift(); next; next = this.buffer.shift())
      this.release(next, 'this process is stopping');
    this.wakeWaiting();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
    await Promise.race([this.idle(), deadline]);
    clearTimeout(timer);
  }

  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (this.inFlight + this.settler.size < this.options.windowSize && this.transport.status().available) {
      const publication = this.buffer.shift();
      if (!publication) break;
      if (this.leaseIsShort(publication))
        this.release(publication, 'it waited in memory until its lease was nearly over');
      else this.publish(publication);
    }
    const { available, reason } = this.transport.status();
    if (!available) {
      for (let next = this.buffer.shift(); next; next = this.buffer.shift())
        this.release(next, reason ?? 'the broker is not available');
    }
    this.pumping = false;
    this.wakeWaiting();
  }

  private publish(publication: Publication): void {
    const event = { eventId: publication.id, type: publication.type };
    const messages = toMessages(publication, this.origin);
    this.hooks.run('publishing', { ...event, attempt: publication.attempt });
    this.inFlight += 1;
    let open = messages.length;
    let result: PublishOutcome | undefined;
    for (const message of messages) {
      this.transport.publish(message, (outcome) => {
        result = worse(result, outcome);
        open -= 1;
        if (open === 0) this.finish(publication, result);
      });
    }
    this.hooks.run('sent', event);
  }

  private finish(publication: Publication, outcome: PublishOutcome): void {
    this.inFlight -= 1;
    const event = { eventId: publication.id, type: publication.type };
    const reason = outcome.status === 'routed' ? {} : { reason: outcome.reason };
    this.hooks.run('confirmed', { ...event, outcome: outcome.status, ...reason });
    const settlement = this.giveUp.afterPublish(publication, publication.attempt, outcome);
    if (settlement.result === 'retry')
      this.logger.warn('An event could not be published', { ...event, attempt: publication.attempt, ...reason });
    if (settlement.result === 'dead') {
      this.logger.error('An event is dead: it could not be published', { ...event, reason: settlement.reason });
      this.hooks.run('dead', { ...event, reason: settlement.reason ?? '' });
    }
    this.settler.add(settlement);
    if (settlement.result === 'dead') void this.settler.idle().then(this.onDead);
    this.pump();
  }

  /** A claimed event that will not be published now: due again soon, its attempt not counted. */
  private release(publication: Publication, reason: string): void {
    this.settler.add({ id: publication.id, token: publication.token, result: 'postponed', delayMs: 0, reason });
    this.hooks.run('deferred', { eventId: publication.id, type: publication.type, reason });
  }

  /** An event that was not taken over at all; its row keeps the lease it was born with. */
  private defer(publication: Publication, reason: string): void {
    this.hooks.run('deferred', { eventId: publication.id, type: publication.type, reason });
    if (this.deferredSinceLog === 0)
      this.logger.warn('Events wait in the outbox for the compensation task', { reason });
    this.deferredSinceLog += 1;
    if (this.deferredSinceLog >= 1000) this.deferredSinceLog = 0;
  }

  private leaseIsShort(publication: Publication): boolean {
    const left = this.options.leaseMs - (performance.now() - publication.claimedAtMs);
    return left < this.options.confirmTimeoutMs;
  }

  private wakeWaiting(): void {
    const waiting = this.waitingForRoom.splice(0);
    for (const wake of waiting) wake();
  }
}
