import { ReliableMqError } from '../event/errors';
import { CONSUMER_MAX_LENGTH, CONSUMER_PATTERN } from '../event/event-type';
import { isUuid } from '../event/event-id';
import type { InboxStatus } from '../inbox/inbox.entity';
import type { InboxKey } from '../inbox/inbox.store';
import { show } from '../input/option-reader';
import { suggest } from '../input/suggest';
import type { OutboxStatus } from '../outbox/outbox.entity';
import { parseCursor } from '../database/cursor';
import type { DeadFilter, FailedFilter } from '../database/failures';
import type { EventFilter, InboxFilter } from '../database/operations.store';
import { isStorableText } from '../event/storable';

/** What one of `listInbox` is made of: when it came, and its key. */
const INBOX_CURSOR_LENGTH = 4;
/** Ids that one problem names. */
const MAX_SHOWN = 5;

/** @returns what is wrong with a value, as a full sentence that begins with its name */
type Check = (name: string, value: unknown) => string | undefined;

const OUTBOX_STATUSES: Readonly<Record<OutboxStatus, true>> = {
  pending: true,
  published: true,
  consumed: true,
  dead: true,
};
const INBOX_STATUSES: Readonly<Record<InboxStatus, true>> = {
  handled: true,
  failed: true,
  waiting: true,
  rejected: true,
  dead: true,
};

const text: Check = (name, value) => {
  if (typeof value !== 'string' || value === '') return `${name} must be a text, not ${show(value)}.`;
  return isStorableText(value)
    ? undefined
    : `${name} holds a NUL character or half a surrogate pair, which no stored text does.`;
};
const cursor: Check = (name, value) => {
  const place = typeof value === 'string' ? parseCursor(value) : undefined;
  return place?.length === INBOX_CURSOR_LENGTH && !Number.isNaN(Date.parse(place[0] ?? ''))
    ? undefined
    : `${name} must be the cursor of a record that listInbox returned, not ${show(value)}.`;
};
const uuid: Check = (name, value) =>
  typeof value === 'string' && isUuid(value) ? undefined : `${name} must be an event id, not ${show(value)}.`;
const flag: Check = (name, value) =>
  typeof value === 'boolean' ? undefined : `${name} must be true or false, not ${show(value)}.`;
const limit: Check = (name, value) =>
  Number.isInteger(value) && (value as number) >= 1
    ? undefined
    : `${name} must be a whole number from 1, not ${show(value)}.`;
const oneOf =
  (names: Readonly<Record<string, true>>): Check =>
  (name, value) =>
    typeof value === 'string' && Object.hasOwn(names, value) ? undefined : unknownName(name, value, Object.keys(names));

const EVENT_FILTER: Readonly<Record<keyof EventFilter, Check>> = {
  status: oneOf(OUTBOX_STATUSES),
  type: text,
  key: text,
  causationId: uuid,
  needPerson: flag,
  overdue: flag,
  before: text,
  limit,
};
const INBOX_FILTER: Readonly<Record<keyof InboxFilter, Check>> = {
  status: oneOf(INBOX_STATUSES),
  consumer: text,
  type: text,
  key: text,
  eventId: text,
  before: cursor,
  limit,
};
const SCOPE: Readonly<Record<string, Check>> = { dataSource: text };
const MAX_BY_LENGTH = 200;
const MAX_WHY_LENGTH = 2000;
const upTo =
  (length: number): Check =>
  (name, value) =>
    text(name, value) ??
    ((value as string).length > length ? `${name} has more than ${length} characters.` : undefined);
const NOTE: Readonly<Record<string, Check>> = { by: upTo(MAX_BY_LENGTH), why: upTo(MAX_WHY_LENGTH) };
const REDRIVE: Readonly<Record<string, Check>> = { ...SCOPE, ...NOTE, evenIfCompensated: flag };
const fingerprint: Check = (name, value) =>
  typeof value === 'string' && /^[0-9a-f]{12}$/.test(value)
    ? undefined
    : `${name} must be the fingerprint of a group of failures, not ${show(value)}.`;
const DEAD_FILTER: Readonly<Record<keyof DeadFilter | 'fingerprint', Check>> = {
  type: text,
  key: text,
  causationId: uuid,
  needPerson: flag,
  archived: flag,
  fingerprint,
};
const FAILED_FILTER: Readonly<Record<keyof FailedFilter | 'fingerprint', Check>> = {
  status: oneOf({ failed: true, waiting: true, rejected: true, dead: true }),
  consumer: text,
  type: text,
  key: text,
  fingerprint,
};

export function problemsOfEventFilter(filter: unknown): readonly string[] {
  return problemsOf('filter', filter, EVENT_FILTER);
}

export function problemsOfInboxFilter(filter: unknown): readonly string[] {
  return problemsOf('filter', filter, INBOX_FILTER);
}

export function problemsOfScope(scope: unknown): readonly string[] {
  return problemsOf('option', scope, SCOPE);
}

export function problemsOfRedriveOptions(options: unknown): readonly string[] {
  return problemsOf('option', options, REDRIVE);
}

/** Who, why, and how fast: whatever else the options have is somebody else's. */
export function problemsOfNote(note: unknown): readonly string[] {
  const given = (note ?? {}) as Readonly<Record<string, unknown>>;
  const { by, why, perSecond, runId } = given;
  const problems = [
    upTo(MAX_BY_LENGTH)('by', by),
    why === undefined ? undefined : upTo(MAX_WHY_LENGTH)('why', why),
    perSecond === undefined || (typeof perSecond === 'number' && perSecond > 0)
      ? undefined
      : `perSecond must be a number above 0, not ${show(perSecond)}.`,
    runId === undefined ? undefined : uuid('runId', runId),
    ...['dryRun', 'evenIfCompensated'].map((name) => (given[name] === undefined ? undefined : flag(name, given[name]))),
  ];
  return problems.filter((problem) => problem !== undefined);
}

/** Ids, or filters: a filter that is misspelt must not read as "all". */
export function problemsOfSelection(selection: unknown, of: 'events' | 'handlings'): readonly string[] {
  const { ids, keys } = (selection ?? {}) as Readonly<Record<string, unknown>>;
  if (of === 'events' && ids !== undefined) return problemsOfEventIds(ids, 'redrive');
  if (of === 'handlings' && keys !== undefined) return problemsOfInboxKeys(keys);
  return problemsOf('filter', selection, of === 'events' ? DEAD_FILTER : FAILED_FILTER);
}

export function problemsOfChange(options: unknown): readonly string[] {
  return problemsOf('option', options, { ...SCOPE, ...NOTE });
}

export function problemsOfQueue(queue: unknown): readonly string[] {
  const { consumer, type } = (queue ?? {}) as Partial<Record<string, unknown>>;
  return [text('consumer', consumer), text('type', type)].filter((problem) => problem !== undefined);
}

export function problemsOfHistory(history: unknown): readonly string[] {
  const { consumer, type, since } = (history ?? {}) as Partial<Record<string, unknown>>;
  const isName =
    typeof consumer === 'string' && CONSUMER_PATTERN.test(consumer) && consumer.length <= CONSUMER_MAX_LENGTH;
  const problems = [
    isName ? undefined : `consumer must be the name of a consumer, not ${show(consumer)}.`,
    text('type', type),
    since instanceof Date && !Number.isNaN(since.getTime()) ? undefined : `since must be a time, not ${show(since)}.`,
  ];
  return problems.filter((problem) => problem !== undefined);
}

export function problemsOfSearch(keyOrId: unknown): readonly string[] {
  return [text('keyOrId', keyOrId) ?? []].flat();
}

export function problemsOfEventIds(eventIds: unknown, method: string): readonly string[] {
  if (!Array.isArray(eventIds)) {
    const example = typeof eventIds === 'string' ? `${method}([${show(eventIds)}])` : `${method}([id])`;
    return [`eventIds must be an array of event ids: ${example}.`];
  }
  const wrong = eventIds.filter((id) => typeof id !== 'string' || !isUuid(id));
  if (wrong.length === 0) return [];
  const more = wrong.length > MAX_SHOWN ? ` and ${wrong.length - MAX_SHOWN} more` : '';
  return [
    `eventIds holds what is no event id (a UUID, as record and list return it): ${wrong.slice(0, MAX_SHOWN).map(show).join(', ')}${more}.`,
  ];
}

/** Each may have further properties, so that what `listInbox` returned can be given back. */
export function problemsOfInboxKeys(keys: unknown): readonly string[] {
  if (!Array.isArray(keys)) return ['keys must be an array: retryInbox([{ eventId, consumer }]).'];
  const problems = keys.flatMap((key: unknown, index) => {
    const { eventId, consumer } = (key ?? {}) as Partial<Record<keyof InboxKey, unknown>>;
    const wrong = Object.entries({ eventId, consumer }).find(([name, value]) => text(name, value) !== undefined);
    if (!wrong) return [];
    return [`keys[${index}] must be { eventId, consumer }, both with text; ${wrong[0]} is ${show(wrong[1])}.`];
  });
  return problems.slice(0, MAX_SHOWN);
}

/**
 * What callers ask for often comes from outside, as a query string that TypeScript has not seen: a status that does not exist must
 * not read as "there is none", nor a filter that does not exist as "all".
 * @throws ReliableMqError INVALID_OPTIONS when there are problems
 */
export function refuse(method: string, problems: readonly string[]): void {
  if (problems.length === 0) return;
  throw new ReliableMqError(
    'INVALID_OPTIONS',
    `EventOperations.${method} cannot do what it was asked for: ${problems.join(' ')}`,
    { method, problems },
  );
}

function problemsOf(what: string, given: unknown, checks: Readonly<Record<string, Check>>): readonly string[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return [`The ${what}s must be an object with ${Object.keys(checks).join(', ')}, not ${show(given)}.`];
  }
  return Object.entries(given).flatMap(([name, value]) => {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    const problem = check ? value !== undefined && check(name, value) : unknownName(what, name, Object.keys(checks));
    return problem ? [problem] : [];
  });
}

/** Says what is known, and which of it was probably meant. */
export function unknownName(what: string, value: unknown, known: readonly string[]): string {
  const meant = typeof value === 'string' ? suggest(value, known) : undefined;
  return `${what} ${show(value)} is unknown${meant ? `; did you mean "${meant}"?` : '.'} There are ${known.join(', ')}.`;
}
