import { HISTORY_LENGTH } from '../../event/outcome';

/** SQL that appends one AttemptRecord to a jsonb array and keeps the newest HISTORY_LENGTH of them. */
export function appendHistory(history: string, attempt: string, reason: string): string {
  return (
    `(CASE WHEN jsonb_array_length(${history}) >= ${HISTORY_LENGTH} THEN ${history} - 0 ELSE ${history} END || ` +
    `jsonb_build_array(jsonb_build_object('attempt', ${attempt}, 'at', statement_timestamp(), 'reason', ${reason})))`
  );
}
