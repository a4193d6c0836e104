import { AsyncResource } from 'node:async_hooks';
import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import { parkingQueue } from '../event/queue-names';
import type { Delivery, IncomingMessage, Subscription, Transport } from '../broker/transport';
import type { QueueHandlers } from './handler-registry';
import type { Conclusion } from './conclusion';
import { addressOf, type Handling } from './handling';
import { openMessage } from './message-reader';
import type { Parking } from './parking';
import type { Reading } from './payload-check';
import { createLog } from '../log/log';

const RETRY_DELAY_MS = 1000;

/** Takes the messages of one queue: reads, handles or parks each, acknowledges it after the commit, and reports. */
export class QueueConsumer {
  private readonly logger = createLog();
  private readonly active = new Set<Promise<void>>();
  private readonly root = new AsyncResource('ReliableMqConsumer');
  private subscription: Subscription | undefined;
  private paused = false;

  constructor(
    private readonly handlers: QueueHandlers,
    private readonly maxMessageBytes: number,
    private readonly transport: Transport,
    private readonly handling: Handling,
    private readonly parking: Parking,
    private readonly hooks: HookRunner,
  ) {}

  async start(): Promise<void> {
    const { queue, consumer, type, prefetch } = this.handlers;
    const spec = { name: queue, kind: 'events' as const, bindings: [type], parkingQueue: parkingQueue(consumer) };
    this.subscription = await this.transport.subscribe(spec, prefetch, (delivery) => {
      // The in-memory broker delivers in the context of whoever published.
      const work = this.root.runInAsyncScope(() => this.take(delivery)).finally(() => this.active.delete(work));
      this.active.add(work);
    });
  }

  /** Take no more messages; those in hand go on. */
  async pause(): Promise<void> {
    this.paused = true;
    await this.subscription?.close();
  }

  /** Resolves when nothing is in hand. */
  async idle(): Promise<void> {
    await Promise.all(this.active);
  }

  private async take(delivery: Delivery): Promise<void> {
    const { message } = delivery;
    this.hooks.run('received', {
      queue: message.queue,
      messageId: message.messageId,
      redelivered: message.redelivered,
    });
    let settled = false;
    const ack = (): void => {
      if (settled) return;
      settled = true;
      delivery.ack();
      this.hooks.run('acknowledged', { queue: message.queue, messageId: message.messageId });
    };
    try {
      if (await this.process(delivery, ack)) return;
    } catch (error) {
      this.logger.error('A message could not be processed; it is tried again', {
        queue: message.queue,
        messageId: message.messageId,
        error: describeError(error),
      });
    }
    if (settled || this.paused) return;
    await new Promise<void>((resolve) => setTimeout(resolve, RETRY_DELAY_MS).unref());
    // Not acknowledged, it goes back when the transport closes.
    if (!this.paused) await this.take({ message: { ...message, redelivered: true }, ack: () => delivery.ack() });
  }

  /** @returns false when the message is not concluded: it must go back, unless the inbox owns it */
  private async process({ message }: Delivery, ack: () => void): Promise<boolean> {
    const { consumer } = this.handlers;
    const opening = openMessage(message, this.handlers, this.maxMessageBytes);
    const conclusion =
      opening.kind === 'opened' && opening.isOurs && message.redelivered
        ? await this.handling.handleRedelivery(opening, (each) => this.parking.intoQueue(consumer, message, each), ack)
        : await this.conclude(await this.handling.read(opening), message, ack);
    if (!conclusion) return false;
    ack();
    this.handling.report(addressOf(opening), consumer, conclusion);
    return true;
  }

  private async conclude(
    reading: Reading | undefined,
    message: IncomingMessage,
    ack: () => void,
  ): Promise<Conclusion | undefined> {
    if (!reading) return undefined;
    if (reading.kind === 'event') return this.handling.handleDelivery(reading.message, message.redelivered, ack);
    if (reading.kind === 'postponed') return this.handling.keep(this.handlers, reading);
    const isParked = await this.parking.park(this.handlers, message, reading);
    return isParked ? { outcome: 'rejected', reason: reading.reason, retryAfterMs: null } : undefined;
  }
}
