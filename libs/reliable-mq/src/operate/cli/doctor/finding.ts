/**
 * - `ok`: as it has to be
 * - `change`: something must be changed, and the text says what
 * - `look`: nothing is broken, but somebody should look
 * - `not-checked`: it could not be looked at, and the text says what that takes
 */
export type Verdict = 'ok' | 'change' | 'look' | 'not-checked';

export interface Finding {
  readonly verdict: Verdict;
  readonly area: 'database' | 'tables' | 'work' | 'budget' | 'broker';
  readonly text: string;
}

/** As the text shows it. */
export const MARKS: Readonly<Record<Verdict, string>> = {
  ok: 'ok',
  change: 'CHANGE',
  look: 'look',
  'not-checked': '?',
};
