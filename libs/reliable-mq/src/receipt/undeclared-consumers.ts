import { suggest } from '../input/suggest';
import type { AppliedReceipt } from '../outbox/outbox.store';
import type { WireReceipt } from './receipt-codec';

/** Names come from outside: this many are remembered, and no further ones are told of. */
const MAX_TOLD = 1000;

/**
 * Tells of consumers that report on events which declare others, once per event type and consumer: a name in `consumers` that is
 * mistyped makes the event wait for somebody who does not exist, end dead, and undo business that was handled.
 */
export class UndeclaredConsumers {
  private readonly told = new Set<string>();

  constructor(private readonly warn: (details: Record<string, unknown>) => void) {}

  /** @param receipts all that were written together, of whichever event */
  add({ eventId, type, status, changed, declared }: AppliedReceipt, receipts: readonly WireReceipt[]): void {
    // Where each declared consumer has handled the event, none of them is mistyped: this is one beside them.
    if (!declared || status === 'consumed') return;
    for (const consumer of changed) {
      const key = `${type} ${consumer}`;
      if (declared.includes(consumer) || this.told.has(key) || this.told.size >= MAX_TOLD) continue;
      this.told.add(key);
      const receipt = receipts.find((each) => each.eventId === eventId && each.consumer === consumer);
      this.warn({
        eventId,
        type,
        consumer,
        outcome: receipt?.outcome,
        declared,
        advice: adviceFor(type, consumer, declared),
      });
    }
  }
}

function adviceFor(type: string, consumer: string, declared: readonly string[]): string {
  const similar = suggest(consumer, declared);
  if (similar === undefined) {
    return `If the event must be handled by "${consumer}", add it to consumers of @ReliableEvent({ type: '${type}' }). If not, all is well.`;
  }
  return (
    `"${similar}" is declared; did you mean "${consumer}"? Then correct consumers of @ReliableEvent({ type: '${type}' }). ` +
    'Events that are recorded already keep the wrong name, and will be given up and compensated: correct their column consumers in ' +
    'reliable_mq_outbox, and take this consumer out of their column outcomes, so that it is asked again.'
  );
}
