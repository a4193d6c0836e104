import { findJourney, type Journey } from '../../journey';
import { type Command, UsageError } from '../command';
import { eventLines, handlingLines } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withTables } from '../open-tables';

export const FIND: Command = {
  name: 'find',
  summary: 'the journey of a key or an event id, across services',
  words: 'KEY|ID',
  options: [
    { ...DATABASE_OPTION, isMany: true, help: 'a database, once for each service (default: DATABASE_URL)' },
    ...TABLE_OPTIONS,
  ],
  details: `
Every event with this key or id, what led to it and what it led to, what its consumers reported, and what the consumers in these
databases did with it. Exits with 1 when there is nothing.

  nestjs-reliable-mq find order-7 --database "$ORDER_DATABASE_URL" --database "$INVENTORY_DATABASE_URL"`,
  run: (given, { env }) => {
    const [keyOrId, ...more] = given.words;
    if (keyOrId === undefined || more.length > 0) throw new UsageError('find needs one key or event id');
    const urls = given.texts('database');
    return withTables(urls.length > 0 ? urls : [env['DATABASE_URL']], given, async (tables) => {
      const journey = await findJourney(
        keyOrId,
        tables.map(({ source }) => source),
      );
      const isNothing = journey.events.length === 0 && journey.handlings.length === 0;
      const where = tables.map(({ name }) => name).join(', ');
      return {
        json: journey,
        text: isNothing ? `Nothing has the key or id "${keyOrId}" in ${where}.\n` : textOf(journey),
        exitCode: isNothing ? 1 : 0,
      };
    });
  },
};

/** Each event with the handlings of it; those of events that are in another service's outbox at the end. */
function textOf({ events, handlings, isCut }: Journey): string {
  const known = new Set(events.map(({ id }) => id));
  const ofEvents = events.map((event) => {
    const own = handlings.filter(({ eventId }) => eventId === event.id);
    return `${eventLines(event)}${own.map(handlingLines).join('')}`;
  });
  const others = handlings.filter(({ eventId }) => !known.has(eventId)).map(handlingLines);
  const foreign = others.length > 0 ? [`events of other services\n${others.join('')}`] : [];
  return `${[...ofEvents, ...foreign].join('\n')}${isCut ? '\nThere is more: this is where a journey is cut.\n' : ''}`;
}
