import type { EventFilter, InboxFilter } from '../../../database/operations.store';
import { problemsOfEventFilter, problemsOfInboxFilter } from '../../operation-input';
import { type Answer, type Command, type Given, type OpenTables, UsageError } from '../command';
import { brief, duration, moment, table } from '../format';
import { DATABASE_OPTION, TABLE_OPTIONS, withDatabase } from '../open-tables';

export const LIST: Command = {
  name: 'list',
  summary: 'events by filter, newest first; with --inbox what consumers failed at',
  options: [
    {
      name: 'status',
      value: 'STATUS',
      help: 'pending, published, consumed, dead; of the inbox: failed, waiting, rejected, dead',
    },
    { name: 'type', value: 'TYPE', help: 'event type' },
    { name: 'key', value: 'KEY', help: 'what the events are searched by' },
    { name: 'need-person', help: 'dead ones that nobody has undone or archived' },
    { name: 'overdue', help: 'those that somebody should have looked at by now' },
    { name: 'inbox', help: "the consumer's side" },
    { name: 'consumer', value: 'NAME', help: 'with --inbox: of this consumer' },
    { name: 'before', value: 'ID', help: 'the next page: the last id, or with --inbox the cursor that was printed' },
    { name: 'limit', value: 'COUNT', isNumber: true, help: 'rows of a page (default: 50; at most 1000)' },
    DATABASE_OPTION,
    ...TABLE_OPTIONS,
  ],
  details: `
  nestjs-reliable-mq list --status dead --type order.created
  nestjs-reliable-mq list --inbox --status failed --consumer inventory`,
  run: (given, context) =>
    withDatabase(given, context, (tables) =>
      given.flag('inbox') ? listInbox(given, tables) : listEvents(given, tables),
    ),
};

const DEFAULT_LIMIT = 50;

async function listEvents(given: Given, { operations }: OpenTables): Promise<Answer> {
  if (given.flag('consumer')) throw new UsageError('--consumer is for --inbox: an event has several consumers');
  const filter = withoutUndefined({
    status: given.text('status'),
    type: given.text('type'),
    key: given.text('key'),
    needPerson: given.flag('need-person') || undefined,
    overdue: given.flag('overdue') || undefined,
    before: given.text('before'),
    limit: given.number('limit') ?? DEFAULT_LIMIT,
  });
  refuseProblems(problemsOfEventFilter(filter));
  const events = await operations.list(filter as EventFilter);
  const last = events.length === filter.limit ? events.at(-1)?.id : undefined;
  const rows = events.map(({ id, type, status, key, createdAt, attempts, reason }) => [
    id,
    type,
    status,
    key ?? '-',
    moment(createdAt),
    String(attempts),
    brief(reason),
  ]);
  const headings = ['id', 'type', 'status', 'key', 'recorded', 'attempts', 'reason'];
  return { json: events, text: `${table(headings, rows, 'No event is like that.')}${nextPage(last)}` };
}

async function listInbox(given: Given, { operations }: OpenTables): Promise<Answer> {
  for (const name of ['need-person', 'overdue'])
    if (given.flag(name)) throw new UsageError(`--${name} is for events, not for --inbox`);
  const filter = withoutUndefined({
    status: given.text('status'),
    consumer: given.text('consumer'),
    type: given.text('type'),
    key: given.text('key'),
    before: given.text('before'),
    limit: given.number('limit') ?? DEFAULT_LIMIT,
  });
  refuseProblems(problemsOfInboxFilter(filter));
  const found = await operations.listInbox(filter as InboxFilter);
  const last = found.length === filter.limit ? found.at(-1)?.cursor : undefined;
  const rows = found.map(({ eventId, consumer, type, status, key, receivedAt, attempts, dueAt, reason }) => [
    eventId,
    consumer,
    type,
    status,
    key ?? '-',
    moment(receivedAt),
    String(attempts),
    nextIn(dueAt),
    brief(reason),
  ]);
  const headings = ['event', 'consumer', 'type', 'status', 'key', 'received', 'attempts', 'next', 'reason'];
  // Its message may be large, and is not text.
  const json = found.map(({ body: _body, properties: _properties, ...rest }) => rest);
  return { json, text: `${table(headings, rows, 'Nothing in the inbox is like that.')}${nextPage(last)}` };
}

function nextIn(dueAt: Date | null): string {
  if (dueAt === null) return '-';
  const inMs = dueAt.getTime() - Date.now();
  return inMs > 0 ? `in ${duration(inMs)}` : 'now';
}

function nextPage(last: string | undefined): string {
  return last === undefined ? '' : `There may be more: --before ${last}\n`;
}

function withoutUndefined<T extends object>(filter: T): { [K in keyof T]: T[K] } {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as T;
}

function refuseProblems(problems: readonly string[]): void {
  if (problems.length > 0) throw new UsageError(problems.join(' '));
}
