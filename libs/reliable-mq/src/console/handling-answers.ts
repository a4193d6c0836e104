import { Injectable } from '@nestjs/common';
import type { FailedFilter } from '../database/failures';
import { lookThrough } from '../operate/bulk';
import { isOfKind } from '../operate/fingerprint';
import type { HandlingPage } from './api';
import { readHandlingQuery } from './queries';
import { toHandling } from './shapes';
import { type ConsoleSource, Sources } from './sources';

/** Lists of what consumers have failed at or put aside, without the messages. */
@Injectable()
export class HandlingAnswers {
  constructor(private readonly sources: Sources) {}

  async page(query: unknown): Promise<HandlingPage> {
    const search = readHandlingQuery(query);
    const { limit } = search;
    const source = this.sources.byName(search.source);
    if ('failed' in search) return failedPage(source, search.failed, search.fingerprint, search.before, limit);
    const found = await source.ask((operations) => operations.listInbox({ ...search.list, limit: limit + 1 }));
    const some = found.slice(0, limit);
    const next = found.length > limit ? some.at(-1)?.cursor : undefined;
    return {
      handlings: some.map((handling) => toHandling(source.name, handling)),
      ...(next !== undefined && { next }),
    };
  }
}

async function failedPage(
  source: ConsoleSource,
  filter: FailedFilter,
  fingerprint: string,
  before: string | undefined,
  limit: number,
): Promise<HandlingPage> {
  const { found, next } = await source.ask((operations) =>
    lookThrough(
      (page) => operations.failedHandlings(filter, page),
      (handling) => isOfKind(fingerprint, handling),
      { behind: before, limit },
    ),
  );
  const order = new Map(found.map(({ eventId, consumer, type }, index) => [keyOf({ eventId, consumer, type }), index]));
  const ids = [...new Set(found.map(({ eventId }) => eventId))];
  // A few consumers each: those of other consumers are left out.
  const records = ids.length === 0 ? [] : await source.ask((operations) => operations.handlingsOf(ids, limit * 10));
  const handlings = records
    .filter((record) => order.has(keyOf(record)))
    .sort((a, b) => (order.get(keyOf(a)) ?? 0) - (order.get(keyOf(b)) ?? 0))
    .map((record) => toHandling(source.name, record));
  return { handlings, ...(next !== undefined && { next }) };
}

function keyOf({ eventId, consumer, type }: { eventId: string; consumer: string; type: string }): string {
  return JSON.stringify([eventId, consumer, type]);
}
