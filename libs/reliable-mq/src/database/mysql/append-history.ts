import { HISTORY_LENGTH } from '../../event/outcome';
import { NOW } from './values';

/** SQL of one AttemptRecord; what is its reason is given as SQL too. */
export function attemptRecord(attempt: string, reason: string): string {
  return `JSON_OBJECT('attempt', ${attempt}, 'at', DATE_FORMAT(${NOW}, '%Y-%m-%dT%H:%i:%s.%fZ'), 'reason', ${reason})`;
}

/** SQL that appends one to a JSON array and keeps the newest HISTORY_LENGTH of them. */
export function appendHistory(history: string, attempt: string, reason: string): string {
  // Both are JSON: with the column itself in one of them MySQL would have to choose a collation.
  const kept = `IF(JSON_LENGTH(${history}) >= ${HISTORY_LENGTH}, JSON_REMOVE(${history}, '$[0]'), JSON_EXTRACT(${history}, '$'))`;
  return `JSON_ARRAY_APPEND(${kept}, '$', ${attemptRecord(attempt, reason)})`;
}
