import type { EventState, HandlingState } from '../database/operations.store';

/** Ids that one reason names. */
const MAX_IDS = 10;

/** Why `redrive` or `discard` left an event alone, as it is a moment later. */
export function whyEventLeftOut(state: EventState | undefined, unlessCompensated: boolean): string {
  if (!state) return 'not in this outbox: pruned, discarded, or of another service or DataSource';
  if (state.status !== 'dead') return `${state.status}, not dead`;
  if (state.isCompensated && unlessCompensated) {
    return 'compensated: pass { evenIfCompensated: true } if it is right to send it although its business was undone';
  }
  return 'its compensation runs: try again when that has ended';
}

/** Why `editAndRedrive` left an event alone, as it is a moment later. */
export function whyNotReplaced(state: EventState | undefined, evenIfCompensated: boolean): string {
  if (state?.status === 'dead' && state.isArchived)
    return 'archived: somebody has dealt with it; redrive it if it is right to send it after all';
  return whyEventLeftOut(state, !evenIfCompensated);
}

/** Why `retryInbox` left a handling alone, as it is a moment later. */
export function whyHandlingLeftOut(state: HandlingState | undefined): string {
  if (!state) return 'not in this inbox: pruned, or of another service or DataSource';
  if (state.status === 'handled') return 'handled';
  return 'being handled: try again when that has ended';
}

/** @returns those of `asked` that are not `done`, each once */
export function notIn(done: readonly string[], asked: readonly string[]): readonly string[] {
  const found = new Set(done);
  return [...new Set(asked)].filter((id) => !found.has(id));
}

/** The ids by reason, some of each, for a log line. */
export function idsByReason(ids: readonly string[], why: (id: string) => string): Record<string, string[]> {
  const byReason: Record<string, string[]> = {};
  for (const id of ids) {
    const known = (byReason[why(id)] ??= []);
    if (known.length < MAX_IDS) known.push(id);
    else if (known.length === MAX_IDS) known.push('…');
  }
  return byReason;
}
