import type { PublishOutcome } from '../transport';

/** One message handed to the channel whose confirm has not come. */
export interface InFlightMessage {
  readonly exchange: string;
  readonly routingKey: string;
  readonly messageId: string;
  readonly bytes: number;
  /** `performance.now()` at the publish. */
  readonly sentAt: number;
  readonly done: (outcome: PublishOutcome) => void;
  returned?: boolean;
}

/**
 * The messages of one confirm channel that wait for their confirm, by delivery tag, oldest first.
 *
 * The tags are counted here, from the broker's `basic.ack` and `basic.nack`, instead of giving amqplib a callback for each
 * message: amqplib registers the callback before it encodes, so one message that can't be encoded would shift all later confirms
 * onto the wrong messages; and its callback can't tell a nack from a closed channel.
 */
export class InFlight {
  private readonly waiting = new Map<number, InFlightMessage>();
  /** Given up after the confirm timeout. They still hold memory (in the socket's buffer), so they still count. */
  private readonly abandoned = new Map<number, number>();
  private lastTag = 0;
  private heldBytes = 0;

  /** Messages without an outcome. */
  get size(): number {
    return this.waiting.size;
  }

  /** Messages that may still hold memory. */
  get held(): { readonly count: number; readonly bytes: number } {
    return { count: this.waiting.size + this.abandoned.size, bytes: this.heldBytes };
  }

  get oldest(): InFlightMessage | undefined {
    return this.waiting.values().next().value;
  }

  /** To be called after each successful publish, and only then: the broker counts the same way. */
  add(message: InFlightMessage): void {
    this.waiting.set((this.lastTag += 1), message);
    this.heldBytes += message.bytes;
  }

  /** The broker returned a message, which it does before it confirms it: the oldest one that fits is meant. */
  markReturned(exchange: string, routingKey: string, messageId: unknown): void {
    for (const message of this.waiting.values()) {
      if (message.returned || message.messageId !== messageId) continue;
      if (message.exchange !== exchange || message.routingKey !== routingKey) continue;
      message.returned = true;
      return;
    }
  }

  /** Takes out what one `basic.ack` or `basic.nack` speaks of: one tag, or (multiple) all up to it. */
  take(tag: number, multiple: boolean, each: (message: InFlightMessage) => void): void {
    if (!multiple) return this.takeOne(tag, each);
    // Deleting what was visited does not disturb a Map's iteration, and what `each` publishes has a higher tag.
    for (const waiting of this.waiting.keys()) {
      if (waiting > tag) break;
      this.takeOne(waiting, each);
    }
    for (const abandoned of this.abandoned.keys()) {
      if (abandoned > tag) break;
      this.forgetAbandoned(abandoned);
    }
  }

  /** Takes out what was published at `before` or earlier; it goes on counting as held. */
  abandon(before: number): InFlightMessage[] {
    const expired: InFlightMessage[] = [];
    for (const [tag, message] of this.waiting) {
      if (message.sentAt > before) break;
      expired.push(message);
      this.waiting.delete(tag);
      this.abandoned.set(tag, message.bytes);
    }
    return expired;
  }

  /** The channel is gone: takes out everything, and counts from 1 again, as the next channel does. */
  takeAll(): InFlightMessage[] {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    this.abandoned.clear();
    this.lastTag = 0;
    this.heldBytes = 0;
    return all;
  }

  private takeOne(tag: number, each: (message: InFlightMessage) => void): void {
    const message = this.waiting.get(tag);
    if (!message) return this.forgetAbandoned(tag);
    this.waiting.delete(tag);
    this.heldBytes -= message.bytes;
    each(message);
  }

  private forgetAbandoned(tag: number): void {
    this.heldBytes -= this.abandoned.get(tag) ?? 0;
    this.abandoned.delete(tag);
  }
}
