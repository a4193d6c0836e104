/** A place in a list as one text that goes through a URL: the values that the list is sorted by. */
export function writeCursor(values: readonly string[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}

/** @returns undefined when nobody has written it */
export function parseCursor(cursor: string): readonly string[] | undefined {
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    const isCursor = Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === 'string');
    return isCursor && writeCursor(values) === cursor ? values : undefined;
  } catch {
    return undefined;
  }
}

/** @throws Error when nobody has written it: callers are asked before */
export function readCursor(cursor: string): readonly string[] {
  const values = parseCursor(cursor);
  if (!values) throw new Error('no cursor');
  return values;
}
