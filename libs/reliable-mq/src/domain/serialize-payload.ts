import type { InvalidProperty } from './errors';

const MAX_DEPTH = 500;

/** JSON text of a payload, or why it has none: each property that JSON would drop, change or choke on. */
export function serializePayload(
  payload: object,
): { readonly json: string } | { readonly invalid: readonly InvalidProperty[] } {
  const invalid: InvalidProperty[] = [];
  inspect(payload, '', '', [], invalid);
  if (invalid.length > 0) return { invalid };
  return { json: JSON.stringify(payload) };
}

function inspect(value: unknown, path: string, key: string, parents: object[], invalid: InvalidProperty[]): void {
  const refuse = (problem: string): void => {
    invalid.push({ property: path || '(payload)', problems: [problem] });
  };
  if (value === null || value === undefined) return;
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) refuse(`${value} is not a JSON number`);
      return;
    case 'bigint':
      return refuse('a bigint is not JSON; send it as a string');
    case 'function':
      return refuse('a function is not JSON');
    case 'symbol':
      return refuse('a symbol is not JSON');
    default:
      return inspectObject(value as object, path, key, parents, invalid, refuse);
  }
}

function inspectObject(
  value: object,
  path: string,
  key: string,
  parents: object[],
  invalid: InvalidProperty[],
  refuse: (problem: string) => void,
): void {
  if (parents.includes(value)) return refuse('is circular: it contains itself');
  if (parents.length >= MAX_DEPTH) return refuse(`is nested deeper than ${MAX_DEPTH} levels`);
  if (value instanceof Date && Number.isNaN(value.getTime())) return refuse('is an invalid date');
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return refuse('is binary; send it as a base64 string');
  if (value instanceof Map || value instanceof Set)
    return refuse('is a Map or Set, which JSON would empty; send an array or an object');
  if (value instanceof Promise) return refuse('is a Promise; await it first');
  parents.push(value);
  const toJSON: unknown = (value as { toJSON?: unknown }).toJSON;
  if (typeof toJSON === 'function') {
    inspect((toJSON as (key: string) => unknown).call(value, key), path, key, parents, invalid);
  } else if (Array.isArray(value)) {
    value.forEach((item: unknown, index) => {
      if (item === undefined)
        invalid.push({ property: `${path}[${index}]`, problems: ['undefined in an array would become null'] });
      else inspect(item, `${path}[${index}]`, String(index), parents, invalid);
    });
  } else {
    for (const [name, item] of Object.entries(value))
      inspect(item, path ? `${path}.${name}` : name, name, parents, invalid);
  }
  parents.pop();
}
