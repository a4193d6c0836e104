import { bulkAnswer } from '../bulk-answer';
import type { Command } from '../command';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { BULK_OPTIONS, bulkOptionsOf, DEAD_OPTIONS, eventSelectionOf } from '../selections';

export const ARCHIVE: Command = {
  name: 'archive',
  summary: 'dead events need no person any more; they stay',
  words: '[ID…]',
  options: [...DEAD_OPTIONS, ...BULK_OPTIONS, DATABASE_OPTION, ...TABLE_OPTIONS],
  details: `
For dead events that a person has dealt with by hand. They stay in the table, count no more, and can be redriven.

  nestjs-reliable-mq archive --type order.created --why "refunded by hand"`,
  run: (given, context) => {
    const selection = eventSelectionOf(given);
    const options = bulkOptionsOf(given, context);
    return withDatabase(given, context, async ({ people }) =>
      bulkAnswer(await people.archive(selection, options), {
        done: 'archived',
        asked: selection.ids?.length,
        isDryRun: given.flag('dry-run'),
        whyNot: 'not dead, archived before, or being compensated; `show ID` says which',
      }),
    );
  },
};
