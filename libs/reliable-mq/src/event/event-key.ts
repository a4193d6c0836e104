import type { InvalidProperty } from './errors';
import { isStorableText, storableText } from './storable';

/** Of the columns that hold it. */
export const EVENT_KEY_MAX_LENGTH = 200;

/** @param key what an application gave as an event's key; null and undefined: none */
export function invalidKey(key: unknown): readonly InvalidProperty[] {
  if (key === undefined || key === null) return [];
  const problem = problemOf(key);
  return problem === undefined ? [] : [{ property: 'key', problems: [problem] }];
}

function problemOf(key: unknown): string | undefined {
  if (typeof key !== 'string') return `must be a string, such as an order's number, not a value of type ${typeof key}`;
  if (key === '') return 'must not be empty: return undefined for an event that has no key';
  if (key.length > EVENT_KEY_MAX_LENGTH)
    return `${key.length} characters, more than ${EVENT_KEY_MAX_LENGTH}: people search by it, and it is indexed`;
  return isStorableText(key) ? undefined : 'holds a NUL character or half a surrogate pair, which databases refuse';
}

/** The key that a message names. Anyone may have sent anything: what cannot be one is none. */
export function keyOfHeader(header: unknown): string | null {
  if (typeof header !== 'string' || header === '' || header.length > EVENT_KEY_MAX_LENGTH) return null;
  return storableText(header) === header ? header : null;
}
