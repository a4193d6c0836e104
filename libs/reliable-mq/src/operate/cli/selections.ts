import type { DeadFilter, FailedFilter } from '../../database/failures';
import { isUuid } from '../../event/event-id';
import { problemsOfSelection } from '../operation-input';
import type { BulkOptions, EventSelection, HandlingSelection, OperationNote } from '../operations';
import { type CommandContext, type Given, type OptionSpec, UsageError } from './command';

/** Who and why, of everything that changes something. */
export const NOTE_OPTIONS: readonly OptionSpec[] = [
  { name: 'why', value: 'TEXT', help: 'kept in the audit' },
  { name: 'by', value: 'NAME', help: 'kept in the audit (default: the user of the operating system)' },
];
export const BULK_OPTIONS: readonly OptionSpec[] = [
  { name: 'all', help: 'without ids and filters: everything' },
  { name: 'dry-run', help: 'say how many match, and which first; change nothing' },
  {
    name: 'rate',
    value: 'COUNT',
    isNumber: true,
    help: 'changes per second (default: as fast as the database takes them)',
  },
  ...NOTE_OPTIONS,
];
export const DEAD_OPTIONS: readonly OptionSpec[] = [
  { name: 'type', value: 'TYPE', help: 'dead events of this type' },
  { name: 'key', value: 'KEY', help: 'dead events with this key' },
  { name: 'fingerprint', value: 'ID', help: 'dead events of one group of failures' },
  { name: 'need-person', help: 'dead events that nobody has undone' },
  { name: 'archived', help: 'dead events that a person has archived, instead of the others' },
];
export const FAILED_OPTIONS: readonly OptionSpec[] = [
  { name: 'consumer', value: 'NAME', help: 'of this consumer; ids need it' },
  { name: 'type', value: 'TYPE', help: 'of this event type' },
  { name: 'status', value: 'STATUS', help: 'failed, waiting, rejected or dead' },
  { name: 'key', value: 'KEY', help: 'of events with this key' },
  { name: 'fingerprint', value: 'ID', help: 'of one group of failures' },
];

export function noteOf(given: Given, { user }: CommandContext): OperationNote {
  return { by: given.text('by') ?? user, why: given.text('why') };
}

/** @throws UsageError */
export function bulkOptionsOf(given: Given, context: CommandContext): BulkOptions {
  const perSecond = given.number('rate');
  if (perSecond === 0) throw new UsageError('--rate needs a number above 0 after it');
  return { ...noteOf(given, context), dryRun: given.flag('dry-run'), perSecond, signal: context.signal };
}

export function deadFilterOf(given: Given): DeadFilter {
  return definedOnly({
    type: given.text('type'),
    key: given.text('key'),
    needPerson: given.flag('need-person') || undefined,
    archived: given.flag('archived') || undefined,
  });
}

/**
 * Ids or filters; "all" must be said.
 * @throws UsageError
 */
export function eventSelectionOf(given: Given): EventSelection {
  const filter = definedOnly({ ...deadFilterOf(given), fingerprint: given.text('fingerprint') });
  mustBeOne(given, filter);
  if (given.words.length > 0) {
    const wrong = given.words.find((word) => !isUuid(word));
    if (wrong !== undefined) throw new UsageError(`"${wrong}" is no event id: for a key say --key ${wrong}`);
    return { ids: given.words.map((word) => word.toLowerCase()) };
  }
  refuse(problemsOfSelection(filter, 'events'));
  return filter;
}

/** @throws UsageError */
export function handlingSelectionOf(given: Given): HandlingSelection {
  const { consumer, type } = { consumer: given.text('consumer'), type: given.text('type') };
  const others = { status: given.text('status'), key: given.text('key'), fingerprint: given.text('fingerprint') };
  mustBeOne(given, definedOnly(given.words.length > 0 ? others : { consumer, type, ...others }));
  if (given.words.length > 0) {
    if (consumer === undefined) throw new UsageError('ids need --consumer: several may have handled one event');
    return { keys: given.words.map((eventId) => ({ eventId, consumer, ...definedOnly({ type }) })) };
  }
  const filter = definedOnly({ consumer, type, ...others }) as FailedFilter;
  refuse(problemsOfSelection(filter, 'handlings'));
  return filter;
}

export function definedOnly<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const defined = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(defined) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function mustBeOne(given: Given, filter: object): void {
  const ways = [given.words.length > 0, Object.keys(filter).length > 0, given.flag('all')].filter(Boolean).length;
  if (ways === 0) throw new UsageError('which ones? Give ids or filters, or --all');
  if (ways > 1) throw new UsageError('give ids, or filters, or --all');
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new UsageError(problems.join(' '));
}
