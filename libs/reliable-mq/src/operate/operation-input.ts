import { ReliableMqError } from '../event/errors';
import { isUuid } from '../event/event-id';
import type { InboxStatus } from '../inbox/inbox.entity';
import type { InboxKey } from '../inbox/inbox.store';
import { show } from '../input/option-reader';
import { suggest } from '../input/suggest';
import type { OutboxStatus } from '../outbox/outbox.entity';
import { parseCursor } from '../database/cursor';
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
    typeof value === 'string' && Object.hasOwn(names, value) ? undefined : unknown(name, value, Object.keys(names));

const EVENT_FILTER: Readonly<Record<keyof EventFilter, Check>> = {
  status: oneOf(OUTBOX_STATUSES),
  type: text,
  key: text,
  causationId: uuid,
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
const REDRIVE: Readonly<Record<string, Check>> = { ...SCOPE, evenIfCompensated: flag };

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
    const problem = check ? value !== undefined && check(name, value) : unknown(what, name, Object.keys(checks));
    return problem ? [problem] : [];
  });
}

function unknown(what: string, value: unknown, known: readonly string[]): string {
  const meant = typeof value === 'string' ? suggest(value, known) : undefined;
  return `${what} ${show(value)} is unknown${meant ? `; did you mean "${meant}"?` : '.'} There are ${known.join(', ')}.`;
}
