import type { ReliableMqStatistics } from '../../../database/operations.store';
import type { Command } from '../command';
import { columns, count, duration } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';

interface Bound {
  readonly option: string;
  readonly what: string;
  readonly of: (statistics: ReliableMqStatistics) => number;
}

/** What the bounds bound, each with the name of its option. */
const BOUNDS: readonly Bound[] = [
  {
    option: 'max-lag',
    what: 'seconds that something has been due for',
    of: ({ outbox, inbox }) => Math.max(outbox.oldestOverdueMs, inbox.oldestOverdueMs) / 1000,
  },
  { option: 'max-dead', what: 'dead events that need a person', of: ({ outbox }) => outbox.needPerson },
  { option: 'max-failed', what: 'handlings that are tried again', of: ({ inbox }) => inbox.failed },
  {
    option: 'max-given-up',
    what: 'handlings that were rejected or are dead',
    of: ({ inbox }) => inbox.rejected + inbox.dead,
  },
];

export const STATUS: Command = {
  name: 'status',
  summary: 'counts, lags, what is oldest; exits with 1 above given bounds',
  options: [
    { name: 'max-lag', value: 'SECONDS', isNumber: true, help: 'how long something may have been due' },
    { name: 'max-dead', value: 'COUNT', isNumber: true, help: 'dead events that need a person' },
    { name: 'max-failed', value: 'COUNT', isNumber: true, help: 'handlings that are tried again' },
    { name: 'max-given-up', value: 'COUNT', isNumber: true, help: 'handlings that were rejected or are dead' },
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: `
What is unfinished in the outbox and the inbox, and how old. Exits with 1 when a bound is exceeded; without bounds always with 0.
Counts stop at 10,000.

  nestjs-reliable-mq status --max-lag 60 --max-dead 0`,
  run: (given, context) =>
    withDatabase(given, context, async ({ name, operations }) => {
      const statistics = await operations.statistics();
      const exceeded = BOUNDS.flatMap(({ option, what, of }) => {
        const bound = given.number(option);
        const value = Math.round(of(statistics));
        return bound !== undefined && value > bound ? [{ bound: option, max: bound, value, what }] : [];
      });
      const said = exceeded.map(({ bound, max, value, what }) => `ABOVE --${bound} ${max}: ${value} ${what}\n`);
      return {
        json: { database: name, ...statistics, exceeded },
        text: `${textOf(name, statistics)}${said.join('')}`,
        exitCode: exceeded.length > 0 ? 1 : 0,
      };
    }),
};

function textOf(name: string, { outbox, inbox }: ReliableMqStatistics): string {
  return `${name}\n${columns([
    ['  outbox', 'pending', String(outbox.pending), `not yet published`],
    ['', 'published', String(outbox.published), 'wait for their consumers'],
    ['', 'dead', String(outbox.dead), deadText(outbox)],
    ['', 'overdue', duration(outbox.oldestOverdueMs), `of about ${count(Math.round(outbox.estimatedRows), 'row')}`],
    ['  inbox', 'failed', String(inbox.failed), 'are tried again, or wait for a release'],
    ['', 'rejected', String(inbox.rejected), 'put aside: no handler can take them'],
    ['', 'dead', String(inbox.dead), 'given up after their attempts'],
    ['', 'overdue', duration(inbox.oldestOverdueMs), `of about ${count(Math.round(inbox.estimatedRows), 'row')}`],
    ...inbox.paused.map(({ consumer, type, by, why }) => [
      '',
      'paused',
      `${consumer}.${type}`,
      `by ${by}${why === null ? '' : `: ${why}`}`,
    ]),
  ])}`;
}

function deadText({ needPerson, compensating, compensated }: ReliableMqStatistics['outbox']): string {
  return `${count(needPerson, 'needs', 'need')} a person, ${compensating} being compensated, ${compensated} compensated`;
}
