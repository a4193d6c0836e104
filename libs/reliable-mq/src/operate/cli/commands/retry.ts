import { bulkAnswer } from '../bulk-answer';
import type { Command } from '../command';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { BULK_OPTIONS, bulkOptionsOf, FAILED_OPTIONS, handlingSelectionOf } from '../selections';

export const RETRY: Command = {
  name: 'retry',
  summary: 'consumers try failed, waiting, rejected or dead handlings again now',
  words: '[ID…]',
  options: [...FAILED_OPTIONS, ...BULK_OPTIONS, DATABASE_OPTION, ...TABLE_OPTIONS],
  details: `
On the consumer's database. The application's compensation task takes them at its next run. Exits with 1 when one of the ids was
left alone.

  nestjs-reliable-mq retry --consumer inventory --status dead
  nestjs-reliable-mq retry 019b0000-0000-7000-8000-000000000001 --consumer inventory`,
  run: (given, context) => {
    const selection = handlingSelectionOf(given);
    const options = bulkOptionsOf(given, context);
    return withDatabase(given, context, async ({ people }) =>
      bulkAnswer(await people.retry(selection, options), {
        done: 'to be tried again',
        asked: selection.keys?.length,
        isDryRun: given.flag('dry-run'),
        whyNot: 'not in this inbox, handled, or being handled; `show ID` says which',
      }),
    );
  },
};
