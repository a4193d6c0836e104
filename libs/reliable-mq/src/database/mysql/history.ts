import { type AttemptRecord, HISTORY_LENGTH } from '../../event/outcome';
import { toIsoText } from './values';

/**
 * The JSON of a history with one record more, of which the newest HISTORY_LENGTH are kept.
 * @param history as its column holds it
 * @param moment as its column would hold it
 */
export function appendHistory(history: string, attempt: number, moment: string, reason: string | null): string {
  const record = { attempt, at: toIsoText(moment), reason };
  return JSON.stringify([...(JSON.parse(history) as AttemptRecord[]), record].slice(-HISTORY_LENGTH));
}
