import { Injectable } from '@nestjs/common';
import { describeError } from '../event/errors';
import { findJourney, type JourneySource } from '../operate/journey';
import { problemsOfSearch } from '../operate/operation-input';
import type { Visitor } from './access';
import type { JourneyAnswer } from './api';
import { invalid, refuse } from './console-problem';
import { readTexts } from './queries';
import { Redaction } from './redaction';
import { toDetail, toHandling } from './shapes';
import { type ConsoleSource, type ReadOperations, Sources } from './sources';

/** Of the JSON of one payload, in characters: a journey may have two hundred. */
const MAX_PAYLOAD_LENGTH = 20_000;

/** One key or event, across the services whose databases are known. */
@Injectable()
export class JourneyAnswers {
  constructor(
    private readonly sources: Sources,
    private readonly redaction: Redaction,
  ) {}

  async journey(query: unknown, visitor: Visitor): Promise<JourneyAnswer> {
    const { of } = readTexts(query, ['of']);
    if (of === undefined) throw invalid('of must be a key or an event id.');
    refuse(problemsOfSearch(of));
    const asked = this.sources.all.map((source) => new AskedSource(source));
    const { events, handlings, isCut } = await findJourney(of, asked);
    return {
      of,
      events: events.map((event) =>
        toDetail(event.source, event, this.redaction.show(event, visitor, MAX_PAYLOAD_LENGTH)),
      ),
      handlings: handlings.map((handling) => toHandling(handling.source, handling)),
      isCut,
      unread: asked.flatMap(({ name, problem }) => (problem === undefined ? [] : [{ source: name, problem }])),
    };
  }
}

/** A database that knows nothing from the moment on at which it could not be asked. */
class AskedSource implements JourneySource {
  problem: string | undefined;
  readonly operations: JourneySource['operations'] = {
    list: (filter) => this.ask((operations) => operations.list(filter)),
    listHandlings: (key, limit) => this.ask((operations) => operations.listHandlings(key, limit)),
    eventsOf: (ids) => this.ask((operations) => operations.eventsOf(ids)),
    causedBy: (ids, limit) => this.ask((operations) => operations.causedBy(ids, limit)),
    handlingsOf: (ids, limit) => this.ask((operations) => operations.handlingsOf(ids, limit)),
  };

  constructor(private readonly source: ConsoleSource) {}

  get name(): string {
    return this.source.name;
  }

  private async ask<Item>(
    question: (operations: ReadOperations) => Promise<readonly Item[]>,
  ): Promise<readonly Item[]> {
    if (this.problem !== undefined) return [];
    try {
      return await this.source.ask(question);
    } catch (error) {
      this.problem = describeError(error);
      return [];
    }
  }
}
