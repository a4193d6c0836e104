import { isUuid } from '../../../event/event-id';
import { type Command, UsageError } from '../command';
import { brief, moment, table } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';

const DEFAULT_LIMIT = 50;

export const AUDIT: Command = {
  name: 'audit',
  summary: 'what people have done, the latest first',
  options: [
    { name: 'before', value: 'ID', help: 'the next page: the last id of the page before' },
    { name: 'limit', value: 'COUNT', isNumber: true, help: 'rows of a page (default: 50; at most 500)' },
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: 'Large operations leave several rows of one run. The ids of what was changed are in the output of --json.',
  run: (given, context) => {
    const before = given.text('before');
    if (before !== undefined && !isUuid(before))
      throw new UsageError(`--before needs an id of the list, not "${before}"`);
    const limit = given.number('limit') ?? DEFAULT_LIMIT;
    if (!Number.isInteger(limit) || limit < 1) throw new UsageError('--limit needs a whole number from 1 after it');
    return withDatabase(given, context, async ({ people }) => {
      const records = await people.audit(before, limit);
      const rows = records.map(({ id, at, by, operation, count, filter, why, runId }) => [
        id,
        moment(at),
        by,
        operation,
        String(count),
        filter === null ? 'by ids' : JSON.stringify(filter),
        runId,
        brief(why),
      ]);
      const headings = ['id', 'at', 'by', 'operation', 'count', 'what', 'run', 'why'];
      return { json: records, text: table(headings, rows, 'Nobody has changed anything.') };
    });
  },
};
