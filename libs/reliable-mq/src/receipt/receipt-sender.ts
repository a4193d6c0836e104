import { newEventId } from '../event/event-id';
import type { HookRunner } from '../event/hook-runner';
import type { Transport } from '../broker/transport';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';
import { encodeReceipts, RECEIPTS_TYPE, type WireReceipt } from './receipt-codec';

const MAX_RECEIPTS_PER_MESSAGE = 500;
const MAX_QUEUE_NAME_BYTES = 255;
/** How soon receipts that could not be sent are tried again, in milliseconds. */
const RETRY_MS = 1000;
/** What is kept at most while the broker takes nothing: by number, and by about so many bytes of memory. */
const MAX_KEPT = 100_000;
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
/** A receipt without its reason, in bytes of memory. */
const RECEIPT_BYTES = 300;
/** Above the limit so large a part goes at once: one by one, each would cost a move of all others. */
const DROPPED_SHARE = 0.1;

interface Waiting {
  readonly queue: string;
  readonly receipt: WireReceipt;
}

/** What a sender that stops did with the receipts that it held. */
export interface ReceiptSenderSummary {
  readonly sent: number;
  /** Their producers will ask again. */
  readonly unsent: number;
}

/**
 * Sends a consumer's receipts to the producers' queues, several in one message. They are neither persistent nor confirmed: the producer
 * chases what it does not hear of. But each receipt that is lost is an event that is published and handled again, so what the broker does
 * not take (an alarm blocks the connection, the socket is full, nobody is connected) is kept, within bounds, and sent when it does.
 */
export class ReceiptSender {
  private readonly log = createLog();
  private readonly outage = new Outage(this.log, {
    begins: 'Receipts cannot be sent and are kept until the broker takes them',
    ends: 'Receipts are sent again',
  });
  /** Oldest first. */
  private waiting: Waiting[] = [];
  private bytes = 0;
  /** Since receipts could be sent last. */
  private dropped = 0;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(
    private readonly service: string,
    private readonly coalesceMs: number,
    private readonly transport: Pick<Transport, 'send' | 'status'>,
    private readonly hooks: HookRunner,
  ) {}

  add(queue: string, receipt: WireReceipt): void {
    // No broker takes a longer name, so nobody has such a queue; to try it again and again would hold up the others.
    if (Buffer.byteLength(queue) > MAX_QUEUE_NAME_BYTES) return;
    this.waiting.push({ queue, receipt });
    this.bytes += bytesOf(receipt);
    if (this.waiting.length > MAX_KEPT || this.bytes > MAX_KEPT_BYTES) this.dropOldest();
    if (this.stopped || (this.waiting.length >= MAX_RECEIPTS_PER_MESSAGE && !this.outage.lasts)) this.flush();
    else this.flushIn(this.outage.lasts ? RETRY_MS : this.coalesceMs);
  }

  /** Sends what waits, as far as the broker takes it. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.waiting.length === 0) return;
    const unsent = this.sendAll();
    this.waiting = unsent;
    this.bytes = unsent.reduce((sum, { receipt }) => sum + bytesOf(receipt), 0);
    if (unsent.length === 0) {
      this.outage.over({ dropped: this.dropped });
      this.dropped = 0;
    } else {
      this.outage.met({ count: unsent.length, reason: this.transport.status().reason }, unsent.length);
      this.flushIn(RETRY_MS);
    }
  }

  /** One last attempt: the process ends. */
  stop(): ReceiptSenderSummary {
    this.stopped = true;
    const held = this.waiting.length;
    this.flush();
    return { sent: held - this.waiting.length, unsent: this.waiting.length + this.dropped };
  }

  /** @returns what the broker did not take */
  private sendAll(): Waiting[] {
    const byQueue = new Map<string, Waiting[]>();
    for (const each of this.waiting) {
      const ofQueue = byQueue.get(each.queue);
      if (ofQueue) ofQueue.push(each);
      else byQueue.set(each.queue, [each]);
    }
    const sent = new Set<Waiting>();
    for (const [queue, ofQueue] of byQueue) {
      for (let from = 0; from < ofQueue.length; from += MAX_RECEIPTS_PER_MESSAGE) {
        const together = ofQueue.slice(from, from + MAX_RECEIPTS_PER_MESSAGE);
        if (this.send(queue, together)) for (const each of together) sent.add(each);
        // It takes nothing at present: what is left would only be encoded in vain.
        else return this.waiting.filter((each) => !sent.has(each));
      }
    }
    return [];
  }

  private send(queue: string, together: readonly Waiting[]): boolean {
    const count = together.length;
    this.hooks.run('receiptsSending', { to: queue, count });
    const sent = this.transport.send({
      target: { queue },
      messageId: newEventId(),
      type: RECEIPTS_TYPE,
      body: encodeReceipts(together.map(({ receipt }) => receipt)),
      headers: {},
      appId: this.service,
    });
    this.hooks.run('receiptsSent', { to: queue, count, sent });
    return sent;
  }

  private flushIn(delayMs: number): void {
    if (this.stopped) return;
    this.timer ??= setTimeout(() => this.flush(), delayMs);
  }

  private dropOldest(): void {
    const dropped = this.waiting.splice(0, Math.ceil(this.waiting.length * DROPPED_SHARE));
    this.bytes -= dropped.reduce((sum, { receipt }) => sum + bytesOf(receipt), 0);
    if (this.dropped === 0)
      this.log.warn('Receipts are dropped, too many wait for the broker; their events are chased', {
        waiting: this.waiting.length,
        eventIds: dropped.slice(0, 10).map(({ receipt }) => receipt.eventId),
      });
    this.dropped += dropped.length;
  }
}

function bytesOf({ reason }: WireReceipt): number {
  return RECEIPT_BYTES + 2 * (reason?.length ?? 0);
}
