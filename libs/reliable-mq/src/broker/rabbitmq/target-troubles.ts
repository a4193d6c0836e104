/** A queue that is full for a moment is no trouble yet. */
const TROUBLE_AFTER_MS = 10_000;
const REPLACE_AT_MOST_EVERY_MS = 600_000;

interface Trouble {
  readonly since: number;
  reason: string;
  told: boolean;
  /** When the channel is to be replaced, if there is still no confirm by then. */
  replaceAt: number;
}

/**
 * Where messages find no way at present: targets of which nothing was confirmed since the broker refused the first one, or left it
 * without an answer.
 *
 * A queue that was full tells the channels that publish to it when there is room again, but not when the bound itself is lifted: such a
 * channel is refused without the queue being asked, for as long as it lives. So one that is refused for a while is replaced, with
 * growing pauses, in which a queue that really is full costs the others nothing.
 */
export class TargetTroubles {
  private readonly troubles = new Map<string, Trouble>();

  /**
   * @param sentAt when the message was handed to the broker: nothing of its target was confirmed since
   * @returns whether `reasons` has changed, and whether the channel should be replaced
   */
  note(
    target: string,
    { reason, isNack, sentAt }: { readonly reason: string; readonly isNack: boolean; readonly sentAt: number },
    now: number,
  ): { readonly changed: boolean; readonly replace: boolean } {
    let trouble = this.troubles.get(target);
    if (!trouble) {
      trouble = { since: sentAt, reason, told: false, replaceAt: now + TROUBLE_AFTER_MS };
      this.troubles.set(target, trouble);
    }
    const tell = now - trouble.since >= TROUBLE_AFTER_MS;
    const changed = tell && (!trouble.told || trouble.reason !== reason);
    trouble.told = tell;
    trouble.reason = reason;
    const replace = isNack && now >= trouble.replaceAt;
    if (replace) trouble.replaceAt = now + Math.min(now - trouble.since, REPLACE_AT_MOST_EVERY_MS);
    return { changed, replace };
  }

  /** @returns whether `reasons` has changed */
  clear(target: string): boolean {
    const trouble = this.troubles.get(target);
    return this.troubles.delete(target) && trouble?.told === true;
  }

  get any(): boolean {
    return this.troubles.size > 0;
  }

  get reasons(): string[] {
    return [...this.troubles].filter(([, { told }]) => told).map(([target, { reason }]) => `${target}: ${reason}`);
  }
}
