import { createHash } from 'node:crypto';
import { withoutLine } from '../log/thrown-at';

/** Of what is left when the values are gone. */
const MAX_LENGTH = 300;

/** What differs between two failures of one kind, and what stands in its place, in this order. */
const VALUES: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi, '<id>'],
  // Apostrophes within a word are none.
  [/"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`/g, '<text>'],
  [/\b(?=[0-9a-f]*\d)[0-9a-f]{8,}\b/gi, '<id>'],
  [/\d+(?:[.,:]\d+)*/g, '<n>'],
  [/\s+/g, ' '],
];

export interface Fingerprint {
  /** The same for failures of one kind: twelve hexadecimal digits. */
  readonly id: string;
  /** What they have in common: the error's class, and its message without ids, numbers and quoted values. */
  readonly text: string;
}

/**
 * @param reason why an event is dead, or a handling failed
 * @param where it was thrown: the same text from two places is two kinds. What was stored by former releases has none
 */
export function fingerprintOf(reason: string | null, where?: string): Fingerprint {
  let text = reason ?? 'no reason given';
  for (const [value, place] of VALUES) text = text.replace(value, place);
  text = text.trim().slice(0, MAX_LENGTH);
  const whole = where === undefined ? text : `${text}\n${withoutLine(where)}`;
  return { id: createHash('sha256').update(whole).digest('hex').slice(0, 12), text };
}

/** Whether a failure is of the kind that is asked for: any is where none is. */
export function isOfKind(
  fingerprint: string | undefined,
  { reason, where }: { readonly reason: string | null; readonly where?: string | undefined },
): boolean {
  return fingerprint === undefined || fingerprintOf(reason, where).id === fingerprint;
}
