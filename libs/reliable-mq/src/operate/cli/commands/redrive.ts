import { bulkAnswer } from '../bulk-answer';
import type { Command } from '../command';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { BULK_OPTIONS, bulkOptionsOf, DEAD_OPTIONS, eventSelectionOf } from '../selections';

export const REDRIVE: Command = {
  name: 'redrive',
  summary: 'send dead events again, with fresh attempts',
  words: '[ID…]',
  options: [
    ...DEAD_OPTIONS,
    { name: 'even-if-compensated', help: 'also those whose business was undone: only where everybody can take that' },
    ...BULK_OPTIONS,
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: `
Dead events become pending again. The application's compensation task publishes them at its next run. Events that were compensated
are left alone, unless you insist. Exits with 1 when one of the ids was left alone.

  nestjs-reliable-mq redrive --fingerprint 3f2a90c1d7e4 --rate 50 --why "stock is back"`,
  run: (given, context) => {
    const selection = eventSelectionOf(given);
    const options = { ...bulkOptionsOf(given, context), evenIfCompensated: given.flag('even-if-compensated') };
    return withDatabase(given, context, async ({ people }) =>
      bulkAnswer(await people.redrive(selection, options), {
        done: 'redriven',
        asked: selection.ids?.length,
        isDryRun: given.flag('dry-run'),
        whyNot: 'not dead, compensated, or being compensated; `show ID` says which',
      }),
    );
  },
};
