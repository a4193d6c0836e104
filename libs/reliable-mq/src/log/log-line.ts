import { inspect } from 'node:util';
import { cleanText } from './clean-text';
import { describeError } from './describe-error';

const MAX_DEPTH = 4;
const MAX_ITEMS = 100;
const MAX_TEXT = 2000;

/** The text and its details as one line: `text {"eventId":"…"}`. Whatever the details hold, what can be told of them is told. */
export function logLine(text: string, details: object | undefined): string {
  if (!details) return text;
  try {
    return `${text} ${JSON.stringify(plain(details, []))}`;
  } catch (error) {
    return `${text} ${JSON.stringify({ detailsUnreadable: describeError(error) })}`;
  }
}

/** The value as JSON has one. `outer`: the objects that it is in. */
function plain(value: unknown, outer: readonly object[]): unknown {
  if (typeof value === 'string') return cleanText(value, MAX_TEXT);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || value === null || value === undefined) return value;
  if (typeof value !== 'object') return inspect(value);
  try {
    if (value instanceof Error) return describeError(value);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
    if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
    if (outer.includes(value) || outer.length >= MAX_DEPTH) return '…';
    return plainMembers(value, [...outer, value]);
  } catch {
    return 'unreadable';
  }
}

function plainMembers(value: object, outer: readonly object[]): unknown {
  if (value instanceof Map) return plainMembers(Object.fromEntries(value as Map<PropertyKey, unknown>), outer);
  if (value instanceof Set || Array.isArray(value)) {
    const items = [...(value as Iterable<unknown>)];
    const told = items.slice(0, MAX_ITEMS).map((item) => plain(item, outer));
    return items.length > MAX_ITEMS ? [...told, `${items.length - MAX_ITEMS} more`] : told;
  }
  const keys = Object.keys(value).slice(0, MAX_ITEMS);
  return Object.fromEntries(keys.map((key) => [key, member(value, key, outer)]));
}

/** One that fails when it is read costs the line nothing else. */
function member(value: object, key: string, outer: readonly object[]): unknown {
  try {
    return plain((value as Readonly<Record<string, unknown>>)[key], outer);
  } catch {
    return 'unreadable';
  }
}
