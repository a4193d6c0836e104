import { HISTORY_LENGTH } from '../../event/outcome';

/** SQL of one AttemptRecord; attempt, reason and place are given as SQL too. A place that is NULL is left out. */
export function attemptRecord(attempt: string, reason: string, where?: string): string {
  const record = `jsonb_build_object('attempt', ${attempt}, 'at', statement_timestamp(), 'reason', ${reason})`;
  return where === undefined ? record : `(${record} || ${placeObject(where)})`;
}

/** SQL of an object with the place, or an empty one. */
export function placeObject(where: string): string {
  return `CASE WHEN ${where} IS NULL THEN '{}' ELSE jsonb_build_object('where', ${where}) END`;
}

/** SQL that appends one AttemptRecord to a jsonb array and keeps the newest HISTORY_LENGTH of them. */
export function appendHistory(history: string, attempt: string, reason: string, where?: string): string {
  return (
    `(CASE WHEN jsonb_array_length(${history}) >= ${HISTORY_LENGTH} THEN ${history} - 0 ELSE ${history} END || ` +
    `jsonb_build_array(${attemptRecord(attempt, reason, where)}))`
  );
}
