import { backoffMs, type Backoff } from '../../wait/backoff';
import type { PublishOutcome } from '../transport';
import { readRefusal, type PublishedMessage, type Refusal } from './refusal';

/** How long a refusal is believed before one message of its kind is tried again. */
const BELIEF: Backoff = { initialMs: 1_000, maxMs: 60_000, jitter: 0.2 };
/** Far above the window of a publisher. The oldest are forgotten, and found again if they were guilty. */
const MAX_SUSPECTS = 10_000;

interface Remembered {
  readonly refusal: Refusal;
  readonly times: number;
  readonly believedUntil: number;
}

/**
 * Remembers what the broker closed a channel for, so that it closes none again that others are on: messages of a kind that was refused,
 * and single messages of which one must be guilty, are tried alone.
 */
export class Suspicions {
  private readonly refusals = new Map<string, Remembered>();
  private readonly suspects = new Set<string>();

  /**
   * The broker closed a channel over one of these messages, all of them unconfirmed.
   * @returns how each of them ended: refused for what the broker's words concern, otherwise unavailable
   */
  blame(
    text: string,
    inFlight: readonly PublishedMessage[],
    now: number,
  ): (message: PublishedMessage) => PublishOutcome {
    const read = readRefusal(text);
    // Words that fit nobody were not understood.
    const refusal = read && inFlight.some((message) => read.concerns(message)) ? read : undefined;
    if (refusal) {
      this.remember(refusal, now);
    } else {
      for (const { messageId } of inFlight) this.suspect(messageId);
    }
    const only = refusal === undefined && inFlight.length === 1;
    return (message) => {
      if (refusal?.concerns(message)) return refusal.outcome;
      if (only) return { status: 'refused', reason: text };
      return { status: 'unavailable', reason: `the broker closed the channel over another message: ${text}` };
    };
  }

  /** How to publish a message: with the others, alone, or not at all for now, because the broker has just refused its like. */
  ways(message: PublishedMessage, now: number): 'with others' | 'alone' | PublishOutcome {
    for (const { refusal, believedUntil } of this.refusals.values()) {
      if (refusal.concerns(message)) return now < believedUntil ? refusal.outcome : 'alone';
    }
    return this.suspects.has(message.messageId) ? 'alone' : 'with others';
  }

  /**
   * The broker took the message: neither it nor its like is suspected any more.
   * @returns whether `reasons` has changed
   */
  acquit(message: PublishedMessage): boolean {
    this.suspects.delete(message.messageId);
    const before = this.refusals.size;
    for (const [key, { refusal }] of this.refusals) if (refusal.concerns(message)) this.refusals.delete(key);
    return this.refusals.size < before;
  }

  get any(): boolean {
    return this.refusals.size > 0 || this.suspects.size > 0;
  }

  /** What is refused at present, for people. */
  get reasons(): string[] {
    return [...this.refusals.values()].map(({ refusal }) => refusal.outcome.reason);
  }

  private remember(refusal: Refusal, now: number): void {
    const times = (this.refusals.get(refusal.key)?.times ?? 0) + 1;
    // With the latest words: the largest size may have changed.
    this.refusals.set(refusal.key, { refusal, times, believedUntil: now + backoffMs(BELIEF, times) });
  }

  private suspect(messageId: string): void {
    this.suspects.add(messageId);
    for (const oldest of this.suspects) {
      if (this.suspects.size <= MAX_SUSPECTS) return;
      this.suspects.delete(oldest);
    }
  }
}
