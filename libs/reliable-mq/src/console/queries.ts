import { parseCursor } from '../database/cursor';
import type { DeadFilter, FailedFilter } from '../database/failures';
import type { EventFilter, InboxFilter } from '../database/operations.store';
import { isUuid, lowestEventId } from '../event/event-id';
import { show } from '../input/option-reader';
import { suggest } from '../input/suggest';
import {
  problemsOfEventFilter,
  problemsOfInboxFilter,
  problemsOfSelection,
  unknownName,
} from '../operate/operation-input';
import type { EventQuery, HandlingQuery } from './api';
import { invalid, refuse } from './console-problem';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
/** Ten years, in seconds. */
const MAX_AGE_S = 10 * 366 * 24 * 60 * 60;

const EVENT_QUERY: Readonly<Record<keyof EventQuery, true>> = {
  source: true,
  status: true,
  type: true,
  key: true,
  causationId: true,
  needPerson: true,
  overdue: true,
  archived: true,
  fingerprint: true,
  olderThan: true,
  before: true,
  limit: true,
};
const HANDLING_QUERY: Readonly<Record<keyof HandlingQuery, true>> = {
  source: true,
  status: true,
  consumer: true,
  type: true,
  key: true,
  eventId: true,
  fingerprint: true,
  before: true,
  limit: true,
};

/** What a query string, or a body, has under these names. */
export type Texts<Name extends string> = { readonly [Key in Name]?: string };

/** Which events: in the outbox's index, or among the dead ones that are looked through. */
export type EventSearch = { readonly source: string | undefined; readonly limit: number } & (
  | { readonly list: EventFilter }
  | { readonly dead: DeadFilter; readonly fingerprint: string | undefined; readonly before: string | undefined }
);

export type HandlingSearch = { readonly source: string | undefined; readonly limit: number } & (
  | { readonly list: InboxFilter }
  | { readonly failed: FailedFilter; readonly fingerprint: string; readonly before: string | undefined }
);

/** @throws ConsoleError naming each parameter that is unknown, given twice, or no text */
export function readTexts<Name extends string>(query: unknown, names: readonly Name[]): Texts<Name> {
  const problems: string[] = [];
  const texts: [string, string][] = [];
  for (const [name, value] of Object.entries((query ?? {}) as Readonly<Record<string, unknown>>)) {
    if (!names.includes(name as Name)) problems.push(unknownName('parameter', name, names));
    else if (typeof value !== 'string') problems.push(`${name} must be given once, as a text.`);
    // A form's empty field says nothing.
    else if (value !== '') texts.push([name, value]);
  }
  refuse(problems);
  return Object.fromEntries(texts) as Texts<Name>;
}

/** @throws ConsoleError */
export function readEventQuery(query: unknown, nowMs: number): EventSearch {
  const texts = readTexts(query, Object.keys(EVENT_QUERY) as (keyof EventQuery)[]);
  const problems: string[] = [];
  const { source, type, key, causationId, status, fingerprint } = texts;
  const [needPerson, overdue, archived] = (['needPerson', 'overdue', 'archived'] as const).map((name) =>
    flag(name, texts[name], problems),
  );
  const limit = limitOf(texts.limit, problems);
  const before = beforeOf(texts.before, texts.olderThan, nowMs, problems);
  const common = { type, key, causationId, needPerson };
  if (fingerprint === undefined && archived === undefined) {
    const list = defined({ ...common, status, overdue, before }) as EventFilter;
    refuse([...problems, ...problemsOfEventFilter(list)]);
    return { source, limit, list };
  }
  if (status !== undefined && status !== 'dead')
    problems.push('fingerprint and archived are of dead events: leave status out, or say dead.');
  if (overdue) problems.push('fingerprint and archived are not looked for among what is overdue.');
  const dead = defined({ ...common, archived }) as DeadFilter;
  refuse([...problems, ...problemsOfSelection(defined({ ...dead, fingerprint }), 'events')]);
  return { source, limit, dead, fingerprint, before };
}

/** @throws ConsoleError */
export function readHandlingQuery(query: unknown): HandlingSearch {
  const texts = readTexts(query, Object.keys(HANDLING_QUERY) as (keyof HandlingQuery)[]);
  const problems: string[] = [];
  const { source, status, consumer, type, key, eventId, fingerprint, before } = texts;
  const limit = limitOf(texts.limit, problems);
  if (fingerprint === undefined) {
    if (status === 'handled' && eventId === undefined && key === undefined)
      problems.push('status handled needs an eventId or a key: there is no other way to what has ended well.');
    const list = defined({ status, consumer, type, key, eventId, before }) as InboxFilter;
    refuse([...problems, ...problemsOfInboxFilter(list)]);
    return { source, limit, list };
  }
  if (eventId !== undefined) problems.push('fingerprint is of all handlings: leave eventId out.');
  if (before !== undefined && !parseCursor(before)) problems.push('before must be the next of the page before.');
  const failed = defined({ status, consumer, type, key }) as FailedFilter;
  refuse([...problems, ...problemsOfSelection({ ...failed, fingerprint }, 'handlings')]);
  return { source, limit, failed, fingerprint, before };
}

/** @throws ConsoleError */
export function choice<Choice extends string>(
  name: string,
  value: string | undefined,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  if (value === undefined) return choices[0];
  if (choices.includes(value as Choice)) return value as Choice;
  const meant = suggest(value, choices);
  throw invalid(
    `${name} must be ${choices.map(show).join(' or ')}, not ${show(value)}${meant ? `; did you mean "${meant}"?` : '.'}`,
  );
}

function flag(name: string, value: string | undefined, problems: string[]): boolean | undefined {
  if (value === undefined || value === 'false') return undefined;
  if (value !== 'true') problems.push(`${name} must be true, or be left out, not ${show(value)}.`);
  return true;
}

function limitOf(value: string | undefined, problems: string[]): number {
  if (value === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(value) ? Number(value) : 0;
  if (limit < 1 || limit > MAX_LIMIT)
    problems.push(`limit must be a whole number from 1 to ${MAX_LIMIT}, not ${show(value)}.`);
  return limit;
}

/** The lower of the two: ids begin with the time at which they were made. */
function beforeOf(
  before: string | undefined,
  olderThan: string | undefined,
  nowMs: number,
  problems: string[],
): string | undefined {
  if (before !== undefined && !isUuid(before))
    problems.push(`before must be the next of the page before, not ${show(before)}.`);
  if (olderThan === undefined) return before;
  const seconds = /^\d{1,10}$/.test(olderThan) ? Number(olderThan) : Number.POSITIVE_INFINITY;
  if (seconds > MAX_AGE_S) {
    problems.push(`olderThan must be a whole number of seconds, not ${show(olderThan)}.`);
    return before;
  }
  const oldest = lowestEventId(nowMs - seconds * 1000);
  return before !== undefined && before.toLowerCase() < oldest ? before : oldest;
}

/** Without what is undefined. */
export function defined<T extends object>(value: T): { readonly [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    readonly [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
