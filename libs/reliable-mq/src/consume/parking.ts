import { HEADER } from '../event/message-headers';
import type { HookRunner } from '../event/hook-runner';
import { parkingQueue } from '../event/queue-names';
import { cutToBytes, storableText } from '../event/storable';
import type { QueueHandlers } from './handler-registry';
import type { IncomingMessage, PublishOutcome, Transport } from '../broker/transport';
import type { UnreadableMessage } from './message-reader';
import type { OutcomeWriter } from './outcome-writer';
import { createLog } from '../log/log';

/** What AMQP allows a property. */
const MAX_PROPERTY_BYTES = 255;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5000;

/**
 * Puts aside what no handler can take: in the inbox, with its bytes, and in the consumer's parking queue. The message is
 * acknowledged only when both have it, unless the inbox owns it already, as it does this library's redelivered events.
 */
export class Parking {
  private readonly logger = createLog();

  constructor(
    private readonly service: string,
    private readonly transport: Transport,
    private readonly outcomes: OutcomeWriter,
    private readonly hooks: HookRunner,
    private readonly isStopping: () => boolean,
  ) {}

  /** @returns false when the process is stopping and the message must go back */
  async park(
    { stores, consumer, type }: QueueHandlers,
    message: IncomingMessage,
    reading: UnreadableMessage,
  ): Promise<boolean> {
    const { reason, envelope, parkingId: eventId } = reading;
    const key = { eventId, consumer, type };
    const parked = await this.outcomes.persist(stores, () => stores.inbox.park(key, envelope.stored, reason));
    if (parked === undefined) return false;
    // The same bytes again, for example published again by a producer that was not told: they are parked already. A
    // redelivery, though, may mean that the process died between the inbox and the queue.
    if (!parked && !message.redelivered && !reading.mayBeAnother) return true;
    return this.intoQueue(consumer, message, reading);
  }

  /** The queue's part alone. @returns false when the process is stopping */
  async intoQueue(
    consumer: string,
    message: IncomingMessage,
    { reason, parkingId }: UnreadableMessage,
  ): Promise<boolean> {
    if (!(await this.toQueue(consumer, message, reason, parkingId))) return false;
    this.logger.error('A message was parked: no handler can take it', {
      queue: message.queue,
      consumer,
      messageId: message.messageId && storableText(message.messageId, 255),
      parkingId,
      reason,
    });
    this.hooks.run('parked', { queue: message.queue, consumer, messageId: message.messageId, reason });
    return true;
  }

  private async toQueue(
    consumer: string,
    message: IncomingMessage,
    reason: string,
    parkingId: string,
  ): Promise<boolean> {
    for (let delayMs = FIRST_RETRY_MS; !this.isStopping(); delayMs = Math.min(delayMs * 2, LAST_RETRY_MS)) {
      const outcome = await new Promise<PublishOutcome>((resolve) =>
        this.transport.publish(
          {
            target: { queue: parkingQueue(consumer) },
            messageId: cutToBytes(storableText(message.messageId ?? parkingId), MAX_PROPERTY_BYTES),
            type: cutToBytes(storableText(message.type ?? ''), MAX_PROPERTY_BYTES),
            body: message.body,
            headers: { [HEADER.reason]: reason, [HEADER.consumer]: consumer },
            appId: this.service,
          },
          resolve,
        ),
      );
      if (outcome.status === 'routed') return true;
      this.logger.warn('A message could not be put into its parking queue yet', {
        consumer,
        parkingId,
        reason: outcome.reason,
      });
      await new Promise<void>((resolve) => setTimeout(resolve, delayMs).unref());
    }
    return false;
  }
}
