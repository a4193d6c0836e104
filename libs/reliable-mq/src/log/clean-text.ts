import { stripVTControlCharacters } from 'node:util';
import { maskUri } from './mask-uri';

/** A text is looked at no further than this many times what is kept of it: some are a megabyte long. */
const LOOK_AHEAD = 4;
/** Control characters, and those that turn the direction of what follows them: neither is seen, and both can make a line say something else. */
const UNSEEN = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Somebody else's text as one line of at most `maxLength` characters: well-formed, without escape sequences, control characters and the
 * passwords of URIs, its white space folded. It neither draws on a terminal nor begins a line that looks like a logger's own.
 */
export function cleanText(text: string, maxLength: number): string {
  const line = stripVTControlCharacters(text.slice(0, maxLength * LOOK_AHEAD).toWellFormed())
    .replace(/\s+/g, ' ')
    .replace(UNSEEN, '')
    .trim();
  return cutText(maskUri(line), maxLength);
}

/** At most `maxLength` characters, the last of them `…` where something was cut off; no character is cut in two. */
export function cutText(text: string, maxLength: number): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…`.toWellFormed() : text;
}
