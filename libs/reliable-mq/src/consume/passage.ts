import type { InboxWriter } from './inbox-writer';
import { adopt, type Claim, FreshClaim, type HeldClaim } from './claim';
import type { OpenedMessage } from './message';

/** One message's way into the pipeline. */
export interface Passage {
  /** @returns the right to handle it; undefined when somebody else has it, or the process is stopping */
  readonly claim: () => Claim | Promise<Claim | undefined>;
  /**
   * Of a message from the broker only, which the inbox may know already: called when the inbox has it, and the broker need not keep
   * it any more.
   */
  readonly onStored?: () => void;
  /** Nothing else runs beside it, and its slot is taken. */
  readonly isAlone?: boolean;
}

/** A message that nobody has seen before, as far as is known. */
export function fresh(message: OpenedMessage, writer: InboxWriter, onStored: () => void): Passage {
  const { stores, timeoutMs } = message.handler;
  const claim = new FreshClaim(stores, message, timeoutMs, writer);
  return { claim: () => claim, onStored };
}

/** A message that has been delivered before. */
export function redelivered(message: OpenedMessage, writer: InboxWriter, onStored: () => void): Passage {
  return { claim: () => adopt(message.handler.stores, message, writer), onStored };
}

/** A row of the inbox. */
export function held(claim: HeldClaim, isAlone = false): Passage {
  return { claim: async () => ((await claim.start()) ? claim : undefined), isAlone };
}
