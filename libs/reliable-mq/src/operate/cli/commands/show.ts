import { isUuid } from '../../../event/event-id';
import { type Command, UsageError } from '../command';
import { eventLines, handlingLines } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';

/** Consumers of one service that know of one event: a few. */
const MAX_HANDLINGS = 100;

export const SHOW: Command = {
  name: 'show',
  summary: 'one event with its payload, headers and whole history',
  words: 'ID',
  options: [DATABASE_OPTION, ...TABLE_OPTIONS],
  details: `
An event of this outbox with its payload, headers and history, and what consumers of this inbox know of that id. Exits with 1
when neither knows it.

  nestjs-reliable-mq show 019b0000-0000-7000-8000-000000000001`,
  run: (given, context) => {
    const [id, ...more] = given.words;
    if (id === undefined || more.length > 0) throw new UsageError('show needs one event id');
    return withDatabase(given, context, async ({ name, operations }) => {
      const event = isUuid(id) ? await operations.get(id) : undefined;
      const handlings = await operations.handlingsOf([event?.id ?? id], MAX_HANDLINGS);
      if (!event && handlings.length === 0)
        return { json: { event: null, handlings }, text: `${name} knows no event "${id}".\n`, exitCode: 1 };
      const content =
        event && `    payload  ${JSON.stringify(event.payload)}\n    headers  ${JSON.stringify(event.headers)}\n`;
      return {
        json: { event: event ?? null, handlings },
        text: `${event ? eventLines(event) : `event ${id} is in no outbox here\n`}${content ?? ''}${handlings.map(handlingLines).join('')}`,
      };
    });
  },
};
