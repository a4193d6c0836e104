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
  return new Date(`${moment.replace(' ', 'T')}Z`);
}

export function toDateOrNull(moment: string | null): Date | null {
  return moment === null ? null : toDate(moment);
}

/** Now: the beginning of the statement, whatever the session's time zone is. */
export const NOW = 'UTC_TIMESTAMP(6)';

/** SQL of a moment so many milliseconds from now; NULL for NULL. Its parameter is `microseconds(…)`. */
export const FROM_NOW = `${NOW} + INTERVAL ? MICROSECOND`;

/** SQL of the milliseconds between two moments. */
export function millisecondsBetween(earlier: string, later: string): string {
  return `TIMESTAMPDIFF(MICROSECOND, ${earlier}, ${later}) / 1000`;
}

/** Whole microseconds, which INTERVAL takes without loss; null stays null. */
export function microseconds(milliseconds: number): number;
export function microseconds(milliseconds: number | null): number | null;
export function microseconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : Math.round(milliseconds * 1000);
}
