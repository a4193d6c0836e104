import { types } from 'node:util';
import { describeError, type InvalidProperty } from './errors';
import { isStorableText } from './storable';

const MAX_DEPTH = 500;

/** A refusal of the payload as a whole. */
const WHOLE = '(payload)';

/**
 * JSON text of a payload, or why it has none: each property that JSON would drop, change or choke on, and each text that
 * a database could store but never read again.
 */
export function serializePayload(
  payload: unknown,
): { readonly json: string } | { readonly invalid: readonly InvalidProperty[] } {
  const invalid: InvalidProperty[] = [];
  try {
    inspect(payload, '', '', [], invalid);
    if (invalid.length > 0) return { invalid };
    const json = JSON.stringify(payload) as string | undefined;
    return json === undefined ? { invalid: [{ property: WHOLE, problems: ['has no JSON'] }] } : { json };
  } catch (error) {
    // A getter or a toJSON method of the application's.
    return { invalid: [...invalid, { property: WHOLE, problems: [`can't be read: ${describeError(error, 300)}`] }] };
  }
}

/** PostgreSQL stores the escapes in a `json` column, and then fails each `payload ->> '…'` that meets them. */
const NOT_STORABLE = 'holds a NUL character or half a surrogate pair, which databases refuse';

function inspect(value: unknown, path: string, key: string, parents: object[], invalid: InvalidProperty[]): void {
  const problem =
    typeof value === 'object' && value !== null
      ? inspectObject(value, path, key, parents, invalid)
      : problemOfPrimitive(value);
  if (problem !== undefined) invalid.push({ property: path || WHOLE, problems: [problem] });
}

function problemOfPrimitive(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return isStorableText(value) ? undefined : NOT_STORABLE;
    case 'number':
      return Number.isFinite(value) ? undefined : `${value} is not a JSON number`;
    case 'bigint':
      return 'a bigint is not JSON; send it as a string';
    case 'function':
      return 'a function is not JSON';
    case 'symbol':
      return 'a symbol is not JSON';
    default:
      return undefined;
  }
}

/** @returns what is wrong with the object itself; of its members is told in `invalid` */
function inspectObject(
  value: object,
  path: string,
  key: string,
  parents: object[],
  invalid: InvalidProperty[],
): string | undefined {
  if (parents.includes(value)) return 'is circular: it contains itself';
  if (parents.length >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels`;
  const problem = problemOf(value);
  if (problem !== undefined) return problem;
  parents.push(value);
  const toJSON: unknown = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJSON === 'function') {
    inspect((toJSON as (key: string) => unknown).call(value, key), path, key, parents, invalid);
  } else if (Array.isArray(value)) {
    // By index, because forEach passes over holes, and JSON does not.
    for (let index = 0; index < value.length; index += 1) {
      const item: unknown = value[index];
      const itemPath = `${path}[${index}]`;
      if (item === undefined) {
        invalid.push({ property: itemPath, problems: ['undefined in an array would become null'] });
      } else inspect(item, itemPath, String(index), parents, invalid);
    }
  } else {
    for (const [name, item] of Object.entries(value)) {
      const itemPath = path ? `${path}.${name}` : name;
      if (!isStorableText(name)) invalid.push({ property: itemPath, problems: [`its name ${NOT_STORABLE}`] });
      inspect(item, itemPath, name, parents, invalid);
    }
  }
  parents.pop();
  return undefined;
}

/** Why an object of this kind does not survive JSON. By what it is inside, whichever realm its class comes from. */
function problemOf(value: object): string | undefined {
  if (types.isDate(value)) return Number.isNaN(value.getTime()) ? 'is an invalid date' : undefined;
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return 'is binary; send it as a base64 string';
  if (types.isMap(value) || types.isSet(value) || types.isWeakMap(value) || types.isWeakSet(value))
    return 'is a Map or Set, which JSON would empty; send an array or an object';
  if (types.isPromise(value)) return 'is a Promise; await it first';
  if (types.isRegExp(value)) return 'is a regular expression, which JSON would empty; send its source';
  if (types.isNativeError(value)) return 'is an Error, which JSON would empty; send its message';
  return undefined;
}
