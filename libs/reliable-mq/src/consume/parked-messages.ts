import { StatementTooLargeError } from '../database/port';
import type { HookRunner } from '../event/hook-runner';
import { storableText } from '../event/storable';
import { createLog } from '../log/log';
import { backoffMs } from '../wait/backoff';
import type { QueueHandlers } from './handler-registry';
import type { InboxWriter } from './inbox-writer';
import type { Opening } from './message';
import { type Outcome, STOPPING, TAKEN } from './outcome';
import type { Parking } from './parking';

/** Between tries to put a message into the parking queue that nobody else has. */
const PUT_BACKOFF = { initialMs: 200, maxMs: 5000, jitter: 0.2 };

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
    let isNew: boolean | undefined;
    try {
      isNew = await this.writer.persist(stores, () => stores.inbox.park(key, message.stored, reason));
    } catch (error) {
      return this.leaveToBroker(message, reason, error);
    }
    if (isNew === undefined) return STOPPING;
    // The same bytes again, for example published again by a producer that was not told: they are parked already.
    if (isNew || isAgain || message.isMovedBack) this.show(message, reason);
    return { kind: 'rejected', reason, isParked: true };
  }

  /**
   * The inbox cannot hold it: the parking queue alone does, from before the message is acknowledged. There is no row, which could be tried again
   * without the bytes, or be taken for them.
   * @param error why the inbox cannot hold it
   * @returns `taken` when the inbox has a row of it already, as of one that was handled
   * @throws the error, if it is another one
   */
  async leaveToBroker(message: Opening, reason: string, error: unknown): Promise<Outcome> {
    if (!(error instanceof StatementTooLargeError)) throw error;
    const { writer } = this;
    const { stores } = this.queue;
    if (message.kind !== 'unreadable') {
      const { key } = message;
      const row = await writer.persist(stores, async () => (await stores.inbox.find(key)) ?? null);
      if (row !== null) return row ? TAKEN : STOPPING;
    }
    const why = storableText(`${reason}; the inbox cannot hold it: ${error.message}`);
    for (let attempt = 1; !(await this.parking.putAlone(message.raw, why)); attempt += 1) {
      await writer.pause(backoffMs(PUT_BACKOFF, attempt));
      if (writer.isStopping) return STOPPING;
    }
    this.tell(message, why);
    return { kind: 'rejected', reason: why, isParked: true };
  }

  /** The inbox has it: people are to find it. */
  show(message: Opening, reason: string): void {
    this.parking.add(message.raw, reason);
    this.tell(message, reason);
  }

  private tell(message: Opening, reason: string): void {
    const { queue, messageId } = message.raw;
    const { consumer } = this.queue;
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
