import { type AttemptRecord, HISTORY_LENGTH } from '../../event/outcome';
import { NOW, toIsoText } from './values';

/** SQL of one AttemptRecord; its reason, and its place where it has one, are given as SQL too. */
export function attemptRecord(attempt: string, reason: string, where?: string): string {
  const place = where === undefined ? '' : `, 'where', ${where}`;
  return `JSON_OBJECT('attempt', ${attempt}, 'at', DATE_FORMAT(${NOW}, '%Y-%m-%dT%H:%i:%s.%fZ'), 'reason', ${reason}${place})`;
}

/** SQL of the newest AttemptRecord of a row of the inbox; NULL where it has none. */
export const LAST_ATTEMPT = `JSON_EXTRACT(history, CONCAT('$[', GREATEST(JSON_LENGTH(history), 1) - 1, ']')) AS last_attempt`;

/** SQL that appends one to a JSON array and keeps the newest HISTORY_LENGTH of them. */
export function appendHistory(history: string, attempt: string, reason: string, where?: string): string {
  // Both are JSON: with the column itself in one of them MySQL would have to choose a collation.
  const kept = `IF(JSON_LENGTH(${history}) >= ${HISTORY_LENGTH}, JSON_REMOVE(${history}, '$[0]'), JSON_EXTRACT(${history}, '$'))`;
  return `JSON_ARRAY_APPEND(${kept}, '$', ${attemptRecord(attempt, reason, where)})`;
}

/**
 * The same of a history that was read, computed here: its JSON with one record more, of which the newest HISTORY_LENGTH are kept.
 * @param history as its column holds it
 * @param moment as its column would hold it
 */
export function appendedHistory(history: string, attempt: number, moment: string, reason: string | null): string {
  const record = { attempt, at: toIsoText(moment), reason };
  return JSON.stringify([...(JSON.parse(history) as AttemptRecord[]), record].slice(-HISTORY_LENGTH));
}
