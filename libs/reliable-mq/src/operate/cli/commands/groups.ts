import type { FailedFilter } from '../../../database/failures';
import { problemsOfSelection } from '../../operation-input';
import type { FailureGroups } from '../../failure-groups';
import { type Command, UsageError } from '../command';
import { brief, moment, table } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';
import { deadFilterOf, definedOnly } from '../selections';

export const GROUPS: Command = {
  name: 'groups',
  summary: 'dead events by what they failed of; with --inbox failed handlings',
  options: [
    { name: 'type', value: 'TYPE', help: 'event type' },
    { name: 'key', value: 'KEY', help: 'what the events are searched by' },
    { name: 'need-person', help: 'dead ones that nobody has undone' },
    { name: 'archived', help: 'those that a person has archived' },
    { name: 'inbox', help: "the consumer's side" },
    { name: 'consumer', value: 'NAME', help: 'with --inbox: of this consumer' },
    { name: 'status', value: 'STATUS', help: 'with --inbox: failed, waiting, rejected or dead' },
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: `
Failures of one kind have one fingerprint, which redrive, archive, discard and retry take. Groups are made of the newest 10,000.

  nestjs-reliable-mq groups --need-person
  nestjs-reliable-mq redrive --fingerprint 3f2a90c1d7e4 --dry-run`,
  run: (given, context) =>
    withDatabase(given, context, async ({ people }) => {
      const isInbox = given.flag('inbox');
      const { type, key, consumer, status } = Object.fromEntries(
        ['type', 'key', 'consumer', 'status'].map((name) => [name, given.text(name)]),
      );
      const filter = isInbox ? definedOnly({ type, key, consumer, status }) : deadFilterOf(given);
      const problems = problemsOfSelection(filter, isInbox ? 'handlings' : 'events');
      if (problems.length > 0) throw new UsageError(problems.join(' '));
      const found = isInbox ? await people.failedGroups(filter as FailedFilter) : await people.deadGroups(filter);
      return { json: found, text: textOf(found) };
    }),
};

function textOf({ groups, isCut }: FailureGroups): string {
  const rows = groups.map(({ fingerprint, count, types, firstSeen, lastSeen, example, text, where }) => [
    fingerprint,
    String(count),
    moment(firstSeen),
    moment(lastSeen),
    types.join(', '),
    example.eventId,
    where ?? '-',
    brief(text),
  ]);
  const headings = ['fingerprint', 'count', 'first', 'last', 'types', 'example', 'thrown at', 'failure'];
  const more = isCut ? 'There are more: groups are made of the newest 10,000 failures, and 100 are shown.\n' : '';
  return `${table(headings, rows, 'Nothing has failed.')}${more}`;
}
