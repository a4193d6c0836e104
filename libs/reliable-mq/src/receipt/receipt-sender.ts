import type { HookRunner } from '../event/hook-runner';
import { newEventId } from '../event/event-id';
import type { Transport } from '../broker/transport';
import { encodeReceipts, RECEIPTS_TYPE, type WireReceipt } from './receipt-codec';

const MAX_RECEIPTS_PER_MESSAGE = 500;

/**
 * Sends a consumer's receipts to the producers' queues, several in one message. They are neither persistent nor confirmed, and
 * dropped when the broker is away: the producer chases what it does not hear of.
 */
export class ReceiptSender {
  private readonly waiting = new Map<string, WireReceipt[]>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly service: string,
    private readonly coalesceMs: number,
    private readonly transport: Transport,
    private readonly hooks: HookRunner,
  ) {}

  add(queue: string, receipt: WireReceipt): void {
    const receipts = this.waiting.get(queue) ?? [];
    receipts.push(receipt);
    this.waiting.set(queue, receipts);
    if (receipts.length >= MAX_RECEIPTS_PER_MESSAGE) this.flushQueue(queue);
    else this.timer ??= setTimeout(() => this.flush(), this.coalesceMs);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const queue of [...this.waiting.keys()]) this.flushQueue(queue);
  }

  private flushQueue(queue: string): void {
    const receipts = this.waiting.get(queue);
    this.waiting.delete(queue);
    if (!receipts) return;
    this.hooks.run('receiptsSending', { to: queue, count: receipts.length });
    const sent = this.transport.send({
      target: { queue },
      messageId: newEventId(),
      type: RECEIPTS_TYPE,
      body: encodeReceipts(receipts),
      headers: {},
      appId: this.service,
    });
    this.hooks.run('receiptsSent', { to: queue, count: receipts.length, sent });
  }
}
