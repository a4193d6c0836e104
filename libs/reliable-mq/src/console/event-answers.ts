import { Injectable } from '@nestjs/common';
import type { DeadFilter } from '../database/failures';
import { EventNotFoundError } from '../event/errors';
import { isUuid } from '../event/event-id';
import { lookThrough } from '../operate/bulk';
import { isOfKind } from '../operate/fingerprint';
import type { Visitor } from './access';
import type { EventDetail, EventPage } from './api';
import { readEventQuery } from './queries';
import { Redaction } from './redaction';
import { toDetail, toSummary } from './shapes';
import { type ConsoleSource, Sources } from './sources';

/** Of the JSON of one payload, in characters: more than an event may have by default. */
const MAX_PAYLOAD_LENGTH = 2_000_000;

/** Lists of events, and each of them. */
@Injectable()
export class EventAnswers {
  constructor(
    private readonly sources: Sources,
    private readonly redaction: Redaction,
  ) {}

  async page(query: unknown): Promise<EventPage> {
    const search = readEventQuery(query, Date.now());
    const { limit } = search;
    const source = this.sources.byName(search.source);
    if ('dead' in search) return deadPage(source, search.dead, search.fingerprint, search.before, limit);
    // One more says whether there are more.
    const found = await source.ask((operations) => operations.list({ ...search.list, limit: limit + 1 }));
    const events = found.slice(0, limit).map((event) => toSummary(source.name, event));
    const next = found.length > limit ? events.at(-1)?.id : undefined;
    return { events, ...(next !== undefined && { next }) };
  }

  /** @throws EventNotFoundError */
  async detail(id: string, sourceName: string | undefined, visitor: Visitor): Promise<EventDetail> {
    const source = this.sources.byName(sourceName);
    const event = isUuid(id) ? await source.ask((operations) => operations.get(id)) : undefined;
    if (!event) throw new EventNotFoundError(id);
    return toDetail(source.name, event, this.redaction.show(event, visitor, MAX_PAYLOAD_LENGTH));
  }
}

async function deadPage(
  source: ConsoleSource,
  filter: DeadFilter,
  fingerprint: string | undefined,
  before: string | undefined,
  limit: number,
): Promise<EventPage> {
  const { found, next } = await source.ask((operations) =>
    lookThrough(
      (page) => operations.deadEvents(filter, page),
      (event) => isOfKind(fingerprint, event),
      { behind: before, limit },
    ),
  );
  const events = await source.ask((operations) => operations.eventsOf(found.map(({ id }) => id)));
  const summaries = events.map((event) => toSummary(source.name, event));
  return { events: summaries.reverse(), ...(next !== undefined && { next }) };
}
