/** The text as a database takes it: well-formed Unicode without NUL characters. */
export function storableText(text: string, maxLength = Number.POSITIVE_INFINITY): string {
  const clean = text.toWellFormed().replaceAll('\u0000', '');
  return clean.length > maxLength ? clean.slice(0, maxLength).toWellFormed() : clean;
}

/** The longest beginning of the text that has at most so many bytes in UTF-8, for fields that are bounded in bytes. */
export function cutToBytes(text: string, maxBytes: number): string {
  // Writes whole characters only.
  return text.slice(0, new TextEncoder().encodeInto(text, new Uint8Array(maxBytes)).read);
}

/** Whether a database takes the text as it is. */
export function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\u0000');
}

const MAX_DEPTH = 10;
const MAX_KEYS = 200;

/** Any value, made by anyone, as JSON that `jsonb` takes: texts cleaned, depth and width bounded. */
export function storableJson(value: unknown): string {
  return JSON.stringify(storable(value, 0));
}

function storable(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'boolean' || value === null) return value;
  if (value === undefined) return undefined;
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function') {
    return storableText(String(value));
  }
  if (depth >= MAX_DEPTH) return '…';
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (Array.isArray(value)) return value.slice(0, MAX_KEYS).map((item: unknown) => storable(item, depth + 1));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  const entries = Object.entries(value).slice(0, MAX_KEYS);
  return Object.fromEntries(entries.map(([key, item]) => [storableText(key), storable(item, depth + 1)]));
}
