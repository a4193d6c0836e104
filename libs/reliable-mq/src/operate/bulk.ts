import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from '../database/failures';

/** Rows that one statement changes. */
export const BATCH = 500;
/** Rows that are looked at before something is done, or where nothing is. */
export const LOOK_CAP = 10_000;
/** That a dry run names. */
const SHOWN = 10;

/** What matches, in parts: the next one begins behind the cursor of the last one. */
export type Pages<Item> = (page: Page) => Promise<readonly (Item & { readonly cursor: string })[]>;

export interface BulkResult<Item> {
  /** Names the run in the audit. */
  readonly runId: string;
  /** How many match. A dry run stops counting at 10,000. */
  readonly matched: number;
  /** The first of those that match, ten at most: the oldest ones. */
  readonly first: readonly Item[];
  /** How many were changed; 0 of a dry run. The rest was changed or claimed by others meanwhile, or must not be changed. */
  readonly done: number;
}

export interface Pace {
  /** Changes per second; as fast as the database takes them otherwise. */
  readonly perSecond?: number | undefined;
  /** Ends the run after the batch that is under way. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each part. */
  readonly onProgress?: ((progress: Pick<BulkResult<unknown>, 'matched' | 'done'>) => void) | undefined;
}

/** Everything that matched when it was begun, oldest first, in bounded parts. What comes meanwhile is left alone. */
export async function* everything<Item>(
  pages: Pages<Item>,
  matches: (item: Item) => boolean,
): AsyncGenerator<readonly Item[]> {
  const [newest] = await pages({ order: 'newestFirst', limit: 1 });
  if (!newest) return;
  for (let behind: string | undefined; behind !== newest.cursor;) {
    const page = await pages({ order: 'oldestFirst', behind, limit: BATCH });
    const end = page.findIndex(({ cursor }) => cursor === newest.cursor);
    const part = end === -1 ? page : page.slice(0, end + 1);
    const found = part.filter(matches);
    if (found.length > 0) yield found;
    // The newest one may have been changed by somebody else: what comes behind it has come meanwhile.
    if (part.length < BATCH) return;
    behind = part.at(-1)?.cursor;
  }
}

/** What would be changed. */
export async function look<Item>(
  parts: AsyncIterable<readonly Item[]>,
): Promise<Pick<BulkResult<Item>, 'matched' | 'first'>> {
  let matched = 0;
  const first: Item[] = [];
  for await (const part of parts) {
    first.push(...part.slice(0, SHOWN - first.length));
    matched += part.length;
    if (matched >= LOOK_CAP) return { matched: LOOK_CAP, first };
  }
  return { matched, first };
}

/**
 * The newest ones that match, behind a cursor. Looks at no more than `LOOK_CAP` rows at once.
 * @returns `next`: where to go on looking, when that is not all
 */
export async function lookThrough<Item extends { readonly cursor: string }>(
  pages: Pages<Item>,
  matches: (item: Item) => boolean,
  { behind, limit }: { readonly behind: string | undefined; readonly limit: number },
): Promise<{ readonly found: readonly Item[]; readonly next: string | undefined }> {
  const found: Item[] = [];
  let place = behind;
  for (let looked = 0; looked < LOOK_CAP; looked += BATCH) {
    const page = await pages({ order: 'newestFirst', behind: place, limit: BATCH });
    for (const item of page) {
      if (matches(item) && found.length === limit) return { found, next: found.at(-1)?.cursor };
      if (matches(item)) found.push(item);
    }
    if (page.length < BATCH) return { found, next: undefined };
    place = page.at(-1)?.cursor;
  }
  return { found, next: place };
}

/** @param change changes some rows, and says how many it has changed */
export async function changeAll<Item>(
  parts: AsyncIterable<readonly Item[]>,
  change: (items: readonly Item[]) => Promise<number>,
  { perSecond, signal, onProgress }: Pace,
): Promise<Omit<BulkResult<Item>, 'runId'>> {
  const beganAtMs = performance.now();
  const step = perSecond === undefined ? BATCH : Math.max(1, Math.min(BATCH, Math.ceil(perSecond)));
  let matched = 0;
  let done = 0;
  const first: Item[] = [];
  for await (const part of parts) {
    for (let from = 0; from < part.length; from += step) {
      if (signal?.aborted) return { matched, first, done };
      const items = part.slice(from, from + step);
      first.push(...items.slice(0, SHOWN - first.length));
      matched += items.length;
      done += await change(items);
      onProgress?.({ matched, done });
      if (perSecond !== undefined) await until(beganAtMs + (done / perSecond) * 1000, signal);
    }
  }
  return { matched, first, done };
}

async function until(atMs: number, signal: AbortSignal | undefined): Promise<void> {
  const waitMs = atMs - performance.now();
  if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => undefined);
}
