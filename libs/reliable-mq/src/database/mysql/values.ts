/** How ids, moments and JSON are written to the tables, and read from them. */

/** @param id a UUID */
export function toBinary(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The UUID that a BINARY(16) holds. */
export function toUuid(binary: Buffer): string {
  const hex = binary.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** @param moment a DATETIME(6) as text: UTC, in all of these tables */
export function toDate(moment: string): Date {
  return new Date(toIsoText(moment));
}

/** Now: the beginning of the statement, whatever the session's time zone is. */
export const NOW = 'UTC_TIMESTAMP(6)';

/** SQL of a moment so many milliseconds from now; NULL for NULL. Its parameter is `microseconds(…)`. */
export const FROM_NOW = `${NOW} + INTERVAL ? MICROSECOND`;

/** SQL of the milliseconds between two moments. */
export function millisecondsBetween(earlier: string, later: string): string {
  return `TIMESTAMPDIFF(MICROSECOND, ${earlier}, ${later}) / 1000`;
}

/**
 * Whole microseconds, which INTERVAL takes without loss; null stays null.
 * @throws RangeError for what is no time
 */
export function microseconds(milliseconds: number): number;
export function microseconds(milliseconds: number | null): number | null;
export function microseconds(milliseconds: number | null): number | null {
  if (milliseconds === null) return null;
  const whole = Math.round(milliseconds * 1000);
  if (!Number.isSafeInteger(whole)) throw new RangeError(`${milliseconds} ms are out of range`);
  return whole;
}

/** A DATETIME(6) as ISO 8601. */
export function toIsoText(moment: string): string {
  return `${moment.replace(' ', 'T')}Z`;
}

/**
 * SQL of the smallest id of an event that was recorded within so many hours, its parameter: ids begin with their moment, in milliseconds.
 * `UNIX_TIMESTAMP()` of now is the same in each time zone, also in the hour that a clock is set back.
 */
export const OLDEST_ID_WITHIN = `UNHEX(CONCAT(LPAD(HEX(FLOOR((UNIX_TIMESTAMP() - ? * 3600) * 1000)), 12, '0'), REPEAT('0', 20)))`;
