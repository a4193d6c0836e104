/**
 * A value as SQL text. For statements that share a round trip with others: those have no parameters.
 *
 * PostgreSQL (lexical structure, string constants): in '…' a quote is doubled, and in E'…' also a backslash, whatever
 * `standard_conforming_strings` says.
 */
export function literal(value: string | number | boolean | null): string {
  if (value === null) return 'NULL';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} is no SQL number`);
    return String(value);
  }
  if (value.includes('\u0000')) throw new TypeError('text for PostgreSQL holds a NUL character');
  const quoted = value.includes("'") ? value.replaceAll("'", "''") : value;
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}
