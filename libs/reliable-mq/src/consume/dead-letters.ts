import { setTimeout as delay } from 'node:timers/promises';
import type { Delivery, PublishOutcome, QueueReader, Transport } from '../broker/transport';
import type { HookRunner } from '../event/hook-runner';
import { parkingQueue } from '../event/queue-names';
import { storableText } from '../event/storable';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';
import { WarningDigest } from '../log/warning-digest';
import type { Consumer } from './consumer';
import { type Death, latestDeath } from './death';
import type { Parking } from './parking';

/** Between two questions how long the parking queue is, in milliseconds. */
const ASK_EVERY_MS = 5000;
const JITTER = 0.2;
/** A look takes no more than this part of the time, so that a queue in which much is parked is not looked through without end … */
const DUTY = 0.1;
/** … but it comes again after so long, in milliseconds. */
const LAST_PAUSE_MS = 60_000;
/** Looked through also if it has not grown: somebody may have taken out as many as have come, in milliseconds. */
const LOOK_ANYWAY_MS = 600_000;
/** Messages in hand at once. */
const AT_ONCE = 10;
/** Header in which the broker counts, of its own. */
const DELIVERIES = 'x-delivery-count';
/** Of the time for which the inbox knows what was handled: the broker's clock may be another one. */
const SAFE_PART = 0.9;

export interface DeadLettersParts {
  readonly transport: Pick<Transport, 'status' | 'queueState' | 'read' | 'publish'>;
  readonly hooks: HookRunner;
  /** The consumer that takes a queue in this process. */
  readonly find: (queue: string) => Consumer | undefined;
  /** For how long the inbox knows what it has handled, in milliseconds. */
  readonly inboxMs: number;
}

/** What one look has found. */
interface Look {
  /** Messages to look at still. */
  left: number;
  taken: number;
  /** Looked at, and not for a handler. */
  stay: number;
  tooOld: number;
  withoutHandler: number;
  /** The parking queue takes none: what is in hand goes back where it was. */
  refused: boolean;
}

/**
 * Finds what the broker has dead-lettered: by a policy of its operator (`message-ttl`, `delivery-limit`, `max-length`) it takes messages out
 * of event queues and puts them into the parking queue of their consumer, between those that this library has parked. They are for the
 * handler still, and go through its pipeline like messages that were delivered before: the inbox takes them over, so that the broker cannot
 * take them away a second time. Everything else is put back, behind the others: a message that is only given back uses up its
 * deliveries, of which a policy may allow few.
 */
export class DeadLetters {
  private readonly log = createLog();
  private readonly queue: string;
  private readonly stopping = new AbortController();
  private readonly told = new WarningDigest((details) =>
    this.log.warn('The broker had dead-lettered a message; the inbox takes it over', details),
  );
  private readonly stayBehind = new Outage(this.log, {
    begins:
      'Messages stay in a parking queue that the broker has put there: of a queue without a handler here, or so old that they may have been handled and forgotten',
    ends: 'No message of the broker stays in a parking queue any more',
  });
  private readonly unread = new Outage(this.log, {
    begins: 'A parking queue cannot be looked through: what the broker has put there is not handled',
    ends: 'A parking queue can be looked through again',
  });
  /** Messages that have stayed behind at the last look, and how many this process had parked by then. */
  private known = { messages: 0, parked: 0 };
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private running: Promise<void> | undefined;

  constructor(
    private readonly consumer: string,
    private readonly parking: Pick<Parking, 'copied'>,
    private readonly parts: DeadLettersParts,
  ) {
    this.queue = parkingQueue(consumer);
  }

  /** Looks now, and from now on whenever the queue has grown. Called again: there are more handlers, everything is looked at. */
  start(): void {
    this.lookedAtMs = Number.NEGATIVE_INFINITY;
    this.running ??= this.run();
  }

  /** Begins with no other message. Resolves when none is in hand. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    this.told.flush();
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const pauseMs = await this.look();
      const jittered = pauseMs * (1 + JITTER * (Math.random() - 0.5));
      await delay(jittered, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** @returns how long to pause, in milliseconds */
  private async look(): Promise<number> {
    const { transport } = this.parts;
    const state = transport.status().available ? await transport.queueState(this.queue) : undefined;
    // Whoever consumes it takes it all.
    if (typeof state !== 'object' || state.consumers > 0) return ASK_EVERY_MS;
    const parked = this.parking.copied;
    const expected = this.known.messages + parked - this.known.parked;
    const isDue = performance.now() - this.lookedAtMs > LOOK_ANYWAY_MS;
    if (state.messages <= expected && !isDue) {
      this.known = { messages: state.messages, parked };
      return ASK_EVERY_MS;
    }
    this.lookedAtMs = performance.now();
    const found = await this.lookThrough(state.messages);
    this.known = { messages: found.stay, parked };
    if (found.taken > 0) return ASK_EVERY_MS;
    return Math.max(ASK_EVERY_MS, Math.min((performance.now() - this.lookedAtMs) / DUTY, LAST_PAUSE_MS));
  }

  private async lookThrough(messages: number): Promise<Look> {
    const look: Look = { left: messages, taken: 0, stay: 0, tooOld: 0, withoutHandler: 0, refused: false };
    const reader = this.parts.transport.read(this.queue);
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.lookAtNext(reader, look)));
    await reader.close();
    const { tooOld, withoutHandler } = look;
    const ref = { queue: this.queue, consumer: this.consumer };
    if (reader.problem === undefined) this.unread.over(ref);
    else this.unread.met({ ...ref, reason: reader.problem });
    if (tooOld + withoutHandler > 0) this.stayBehind.met({ ...ref, tooOld, withoutHandler });
    else if (reader.problem === undefined) this.stayBehind.over(ref);
    return look;
  }

  private async lookAtNext(reader: QueueReader, look: Look): Promise<void> {
    while (look.left > 0 && !this.stopping.signal.aborted) {
      look.left -= 1;
      const delivery = await reader.next();
      if (!delivery) return;
      const death = latestDeath(delivery.message.headers);
      const consumer = death && this.parts.find(death.queue);
      const isForHandler = consumer && this.isRemembered(death);
      if (isForHandler) {
        await this.take(delivery, death, consumer);
        look.taken += 1;
        continue;
      }
      look.stay += 1;
      if (consumer) look.tooOld += 1;
      else if (death) look.withoutHandler += 1;
      if (!look.refused) look.refused = !(await this.putBack(delivery));
    }
  }

  /** Of one that died long ago the inbox may have forgotten that another copy was handled. */
  private isRemembered({ atMs }: Death): boolean {
    return atMs !== undefined && Date.now() - atMs < this.parts.inboxMs * SAFE_PART;
  }

  private async take(delivery: Delivery, death: Death, consumer: Consumer): Promise<void> {
    const { queue, reason, routingKey, expiration } = death;
    const { message } = delivery;
    const { messageId } = message;
    // As a queue delivers it that had delivered it before: its process may have died of it.
    const asDelivered = { ...message, queue, routingKey: routingKey ?? consumer.queue.type, redelivered: true };
    const acknowledge = (): void => {
      this.told.add(messageId && storableText(messageId, 255), { queue, consumer: this.consumer, reason });
      this.parts.hooks.run('deadLettered', { queue, consumer: this.consumer, messageId, reason });
      delivery.ack();
    };
    const asideFor =
      reason === 'expired' && expiration !== undefined
        ? `its publisher wanted it to live for ${expiration} ms only, which were over before it was taken out of its queue`
        : undefined;
    await consumer.take({ message: asDelivered, ack: acknowledge }, asideFor);
  }

  /** @returns false when the queue takes nothing */
  private async putBack(delivery: Delivery): Promise<boolean> {
    const { body, messageId = '', type = '', properties, headers: all } = delivery.message;
    const headers = Object.fromEntries(Object.entries(all).filter(([name]) => name !== DELIVERIES));
    // The broker would refuse it as somebody else's, or send it on.
    if (properties['userId'] !== undefined || 'CC' in headers || 'BCC' in headers) return true;
    const outcome = await new Promise<PublishOutcome>((resolve) =>
      this.parts.transport.publish(
        { target: { queue: this.queue }, messageId, type, body, headers: {}, properties: { ...properties, headers } },
        resolve,
      ),
    );
    if (outcome.status !== 'routed') return false;
    delivery.ack();
    return true;
  }
}
