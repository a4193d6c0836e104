import type { DataSource } from 'typeorm';
import { isStorableText, storableText } from '../../event/storable';

/** A character that may not be in the encoding of the DataSource's database, where there are such. */
const foreign = new WeakMap<DataSource, RegExp>();

/**
 * @param encoding `server_encoding` of the database
 * @returns whether it has all that Unicode has
 */
export function knowEncoding(dataSource: DataSource, encoding: string): boolean {
  foreign.delete(dataSource);
  // SQL_ASCII is no encoding at all: bytes are kept as they come.
  if (encoding === 'UTF8' || encoding === 'SQL_ASCII') return true;
  // ASCII is in every encoding that PostgreSQL has at a server.
  foreign.set(dataSource, encoding === 'LATIN1' ? /[\u{100}-\u{10ffff}]/gu : /\P{ASCII}/gu);
  return false;
}

/** Whether the database takes the text as it is. */
export function isStorableIn(dataSource: DataSource, text: string): boolean {
  return isStorableText(text) && storableIn(dataSource, text) === text;
}

/** The text with a question mark for each character that the database's encoding may not have; what is JSON stays so. */
export function storableIn(dataSource: DataSource, text: string, maxLength?: number): string {
  const clean = storableText(text, maxLength);
  const outside = foreign.get(dataSource);
  return outside ? clean.replaceAll(outside, '?') : clean;
}
