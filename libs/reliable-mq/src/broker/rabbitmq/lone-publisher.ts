import type { OutgoingMessage, PublishOutcome } from '../transport';
import type { ConfirmedChannel } from './confirm-channel';

/** Beyond this, suspects are answered at once: they are tried again by whoever keeps them. */
const MAX_WAITING = 1_000;

interface Waiting {
  readonly message: OutgoingMessage;
  readonly done: (outcome: PublishOutcome) => void;
  readonly deadline: NodeJS.Timeout;
}

/**
 * Publishes suspects one at a time over a channel of its own: whatever the broker closes it for is the fault of the one message that is
 * on it.
 */
export class LonePublisher {
  private readonly waiting = new Set<Waiting>();
  private busy = false;

  /**
   * @param channel used by nobody else; whoever makes it calls `next` when it opens
   * @param verdictOn asked when a message's turn has come: the one before it may have shown what becomes of it
   */
  constructor(
    private readonly channel: Pick<ConfirmedChannel, 'isOpen' | 'publish' | 'answerLater'>,
    private readonly waitAtMostMs: number,
    private readonly verdictOn: (message: OutgoingMessage) => PublishOutcome | undefined,
  ) {}

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    if (this.waiting.size >= MAX_WAITING) return this.channel.answerLater(done, inVain('too many messages wait'));
    const one: Waiting = {
      message,
      done,
      deadline: setTimeout(() => {
        if (this.waiting.delete(one)) done(inVain('no turn in time'));
      }, this.waitAtMostMs),
    };
    this.waiting.add(one);
    this.next();
  }

  /** The channel is open, or free again. */
  next(): void {
    if (this.busy || !this.channel.isOpen) return;
    for (const one of this.waiting) {
      this.waiting.delete(one);
      clearTimeout(one.deadline);
      const verdict = this.verdictOn(one.message);
      if (verdict) {
        this.channel.answerLater(one.done, verdict);
        continue;
      }
      this.busy = true;
      return this.channel.publish(one.message, (outcome) => {
        this.busy = false;
        one.done(outcome);
        this.next();
      });
    }
  }

  /** Whoever waits for a turn is answered. */
  close(): void {
    for (const { done, deadline } of this.waiting) {
      clearTimeout(deadline);
      this.channel.answerLater(done, inVain('the transport was closed'));
    }
    this.waiting.clear();
  }
}

function inVain(why: string): PublishOutcome {
  return { status: 'unavailable', reason: `the broker may refuse this message, which is to be tried alone: ${why}` };
}
