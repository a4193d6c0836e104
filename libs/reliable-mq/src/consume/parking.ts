import type { IncomingMessage, PublishOutcome, Transport } from '../broker/transport';
import { HEADER } from '../event/message-headers';
import { parkingQueue } from '../event/queue-names';
import { cutToBytes, storableText } from '../event/storable';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';

/** What AMQP allows a property. */
const MAX_PROPERTY_BYTES = 255;
/** Copies of one consumer that wait in memory, and their bytes. */
const MAX_COPIES = 1000;
const MAX_BYTES = 32 * 1024 * 1024;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5000;

interface Copy {
  readonly message: IncomingMessage;
  readonly reason: string;
}

/**
 * Puts a copy of what the inbox has put aside into the consumer's parking queue, where people look for it and can move it back. The
 * inbox row is what parks a message, so copies are sent beside its way: one that cannot be sent now waits in memory, holds nobody up,
 * and is gone with the process. What the inbox cannot hold is parked by the queue alone (`putAlone`).
 */
export class Parking {
  private readonly log = createLog();
  private readonly copies: Copy[] = [];
  private readonly stuck = new Outage(this.log, {
    begins:
      "Messages can't be put into their parking queue. The inbox holds them (EventOperations.listInbox, status rejected); copies are tried again",
    ends: 'Messages are put into their parking queue again',
  });
  private bytes = 0;
  private left = 0;
  private put = 0;
  private sending = false;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly consumer: string,
    private readonly transport: Pick<Transport, 'publish'>,
  ) {}

  /** Why copies wait; undefined: none does. */
  get problem(): string | undefined {
    return this.stuck.lasts ? `messages can't be put into the parking queue of consumer "${this.consumer}"` : undefined;
  }

  /** Copies that this process has put into the queue. */
  get copied(): number {
    return this.put;
  }

  add(message: IncomingMessage, reason: string): void {
    if (this.stopped) return;
    if (this.copies.length >= MAX_COPIES || this.bytes + message.body.length > MAX_BYTES) {
      this.left += 1;
      this.stuck.met({ consumer: this.consumer, reason: 'too many wait already: no copy is sent of the others' });
      return;
    }
    this.copies.push({ message, reason });
    this.bytes += message.body.length;
    if (!this.sending) void this.sendAll();
  }

  /** A message that the inbox cannot hold: nobody else has it, so it is the caller's until this says true. */
  async putAlone(message: IncomingMessage, reason: string): Promise<boolean> {
    const outcome = await this.send({ message, reason });
    if (outcome.status === 'routed') this.put += 1;
    else this.stuck.met({ consumer: this.consumer, reason: outcome.reason });
    return outcome.status === 'routed';
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private async sendAll(): Promise<void> {
    this.sending = true;
    let delayMs = FIRST_RETRY_MS;
    while (this.copies.length > 0 && !this.stopped) {
      // All that wait now, side by side; what is refused takes its place behind what has come meanwhile.
      const batch = this.copies.splice(0);
      const outcomes = await Promise.all(batch.map((copy) => this.send(copy)));
      const failed = batch.filter((_, index) => outcomes[index]?.status !== 'routed');
      this.copies.push(...failed);
      this.put += batch.length - failed.length;
      this.bytes = this.copies.reduce((sum, { message }) => sum + message.body.length, 0);
      const problem = outcomes.find((outcome) => outcome.status !== 'routed');
      if (!problem) {
        delayMs = FIRST_RETRY_MS;
        this.stuck.over({ consumer: this.consumer, withoutCopy: this.left });
        this.left = 0;
        continue;
      }
      this.stuck.met({ consumer: this.consumer, waiting: this.copies.length, reason: problem.reason }, failed.length);
      await new Promise<void>((resolve) => (this.timer = setTimeout(resolve, delayMs).unref()));
      delayMs = Math.min(delayMs * 2, LAST_RETRY_MS);
    }
    this.sending = false;
  }

  private send({ message, reason }: Copy): Promise<PublishOutcome> {
    const { body, messageId = '', type = '', queue } = message;
    return new Promise((resolve) =>
      this.transport.publish(
        {
          target: { queue: parkingQueue(this.consumer) },
          messageId,
          type,
          body,
          headers: {},
          properties: propertiesOf(message, { reason, consumer: this.consumer, queue }),
        },
        resolve,
      ),
    );
  }
}

/**
 * As they came, and why it is here. Not what would make the broker do something with the copy: let it expire, refuse it as sent by
 * somebody else (`userId`), or send it on (`CC`, `BCC`). Nor `x-death`, by which messages are known that the broker has put there.
 */
function propertiesOf(
  { properties, headers }: IncomingMessage,
  ours: { readonly reason: string; readonly consumer: string; readonly queue: string },
): Readonly<Record<string, unknown>> {
  const { expiration, userId, ...kept } = properties;
  const { CC, BCC, 'x-death': deaths, ...own } = headers;
  const put: Record<string, unknown> = {
    ...own,
    [HEADER.reason]: ours.reason,
    [HEADER.consumer]: ours.consumer,
    [HEADER.queue]: ours.queue,
  };
  if (expiration !== undefined) put[HEADER.expiration] = expiration;
  if (userId !== undefined) put[HEADER.userId] = userId;
  if (deaths !== undefined) put[HEADER.deaths] = deaths;
  if (CC !== undefined || BCC !== undefined) put[HEADER.copiesTo] = [CC, BCC].flat().filter((to) => to !== undefined);
  const copied: Record<string, unknown> = { headers: put };
  for (const [name, value] of Object.entries(kept)) {
    if (name !== 'headers') copied[name] = typeof value === 'string' ? fitting(value) : value;
  }
  return copied;
}

/** Bytes that were no UTF-8 have become longer than they came. */
function fitting(text: string): string {
  return cutToBytes(storableText(text), MAX_PROPERTY_BYTES);
}
