import type { DeadFilter, FailedFilter, Page } from '../database/failures';
import type { OperationsStore } from '../database/operations.store';
import { BATCH, LOOK_CAP, type Pages } from './bulk';
import { fingerprintOf } from './fingerprint';

const MAX_GROUPS = 100;

/** Failures of one kind. */
export interface FailureGroup {
  /** For the `fingerprint` of a selection. */
  readonly fingerprint: string;
  /** The error's class and what its messages have in common. */
  readonly text: string;
  /** Where the latest of them was thrown; null where that is not known. */
  readonly where: string | null;
  readonly count: number;
  readonly types: readonly string[];
  readonly firstSeen: Date;
  readonly lastSeen: Date;
  /** The latest of them, with its whole reason. */
  readonly example: { readonly eventId: string; readonly reason: string | null };
}

export interface FailureGroups {
  /** The largest first, 100 at most. */
  readonly groups: readonly FailureGroup[];
  /** There are more failures than the newest 10,000, which were looked at. */
  readonly isCut: boolean;
}

/** Dead events by what they failed of. */
export function deadGroups(store: Pick<OperationsStore, 'deadEvents'>, filter: DeadFilter): Promise<FailureGroups> {
  const pages = (page: Page) => store.deadEvents(filter, page);
  return groupsOf(pages, ({ id, type, reason, where, endedAt }) => ({ eventId: id, type, reason, where, at: endedAt }));
}

/** Handlings that are not handled, by what they failed of. */
export function failedGroups(
  store: Pick<OperationsStore, 'failedHandlings'>,
  filter: FailedFilter,
): Promise<FailureGroups> {
  const pages = (page: Page) => store.failedHandlings(filter, page);
  return groupsOf(pages, ({ eventId, type, reason, where, receivedAt: at }) => ({ eventId, type, reason, where, at }));
}

interface Failure {
  readonly eventId: string;
  readonly type: string;
  readonly reason: string | null;
  readonly where?: string | undefined;
  readonly at: Date;
}

/** Failures by what they have in common, of the newest 10,000. */
async function groupsOf<Item>(pages: Pages<Item>, failureOf: (item: Item) => Failure): Promise<FailureGroups> {
  const groups = new Map<string, FailureGroup>();
  let looked = 0;
  let behind: string | undefined;
  do {
    const page = await pages({ order: 'newestFirst', behind, limit: BATCH });
    for (const item of page) {
      const failure = failureOf(item);
      const { id } = fingerprintOf(failure.reason, failure.where);
      groups.set(id, joined(groups.get(id), failure));
    }
    looked += page.length;
    behind = page.length === BATCH ? page.at(-1)?.cursor : undefined;
  } while (behind !== undefined && looked < LOOK_CAP);
  const largest = [...groups.values()].sort((a, b) => b.count - a.count).slice(0, MAX_GROUPS);
  return { groups: largest, isCut: behind !== undefined || groups.size > MAX_GROUPS };
}

function joined(group: FailureGroup | undefined, { eventId, type, reason, where, at }: Failure): FailureGroup {
  if (!group) {
    const { id: fingerprint, text } = fingerprintOf(reason, where);
    return {
      fingerprint,
      text,
      where: where ?? null,
      count: 1,
      types: [type],
      firstSeen: at,
      lastSeen: at,
      example: { eventId, reason },
    };
  }
  return {
    ...group,
    count: group.count + 1,
    types: group.types.includes(type) ? group.types : [...group.types, type],
    firstSeen: at < group.firstSeen ? at : group.firstSeen,
    lastSeen: at > group.lastSeen ? at : group.lastSeen,
  };
}
