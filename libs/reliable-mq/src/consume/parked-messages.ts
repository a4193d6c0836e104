import type { HookRunner } from '../event/hook-runner';
import { storableText } from '../event/storable';
import { createLog } from '../log/log';
import type { QueueHandlers } from './handler-registry';
import type { InboxWriter } from './inbox-writer';
import type { Opening } from './message';
import { type Outcome, STOPPING } from './outcome';
import type { Parking } from './parking';

/** Messages of one queue that are put aside, because no handler can take them: in the inbox, with a copy in the parking queue. */
export class ParkedMessages {
  private readonly log = createLog();

  constructor(
    private readonly queue: QueueHandlers,
    private readonly parking: Parking,
    private readonly writer: InboxWriter,
    private readonly hooks: HookRunner,
  ) {}

  /** @param isAgain also when it had been put aside before */
  async park(message: Opening, reason: string, isAgain: boolean): Promise<Outcome> {
    const { stores } = this.queue;
    const key = message.parkingKey();
    const isNew = await this.writer.persist(stores, () => stores.inbox.park(key, message.stored, reason));
    if (isNew === undefined) return STOPPING;
    // The same bytes again, for example published again by a producer that was not told: they are parked already.
    if (isNew || isAgain || message.isMovedBack) this.show(message, reason);
    return { kind: 'rejected', reason, isParked: true };
  }

  /** The inbox has it: people are to find it. */
  show(message: Opening, reason: string): void {
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
    this.hooks.run('parked', { queue, consumer, messageId, reason });
  }

  /** A copy that was moved back has been handled: it is no longer put aside. */
  async forget(message: Opening): Promise<void> {
    const { stores } = this.queue;
    await this.writer.persist(stores, () => stores.inbox.unpark(message.parkingKey()));
  }
}
