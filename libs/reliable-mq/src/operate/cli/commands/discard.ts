import { bulkAnswer } from '../bulk-answer';
import type { Command } from '../command';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { BULK_OPTIONS, bulkOptionsOf, DEAD_OPTIONS, eventSelectionOf } from '../selections';

export const DISCARD: Command = {
  name: 'discard',
  summary: 'delete dead events for good, without compensation',
  words: '[ID…]',
  options: [...DEAD_OPTIONS, ...BULK_OPTIONS, DATABASE_OPTION, ...TABLE_OPTIONS],
  details: `
The events are gone; the audit keeps their ids. To be done with an event and keep it, archive it.

  nestjs-reliable-mq discard 019b0000-0000-7000-8000-000000000001 --why "a test of ours"`,
  run: (given, context) => {
    const selection = eventSelectionOf(given);
    const options = bulkOptionsOf(given, context);
    return withDatabase(given, context, async ({ people }) =>
      bulkAnswer(await people.discard(selection, options), {
        done: 'deleted',
        asked: selection.ids?.length,
        isDryRun: given.flag('dry-run'),
        whyNot: 'not dead, or being compensated; `show ID` says which',
      }),
    );
  },
};
