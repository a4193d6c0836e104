import type { QueryRunner } from 'typeorm';
import { type Parameters, resultOn } from './sql';

/**
 * Insert rows, those that are there left as they are. Waits for a transaction that has inserted one of them, and sees what has become
 * of it, also where this transaction's snapshot is older.
 *
 * INSERT IGNORE would make warnings of all errors, and cut an id to one that another message has; a plain INSERT that fails is in the application's
 * log. `affectedRows` depends on a flag of the connection: LAST_INSERT_ID, which is set for a row that was there, says the same under each.
 * @param sql an INSERT, up to its values
 * @param column one of the table's, whose value stays
 * @param update assignments, for what is to be done to a row that is there
 * @returns whether none of them was there
 */
export async function insertOnce(
  queryRunner: QueryRunner,
  sql: string,
  parameters: Parameters,
  column: string,
  update: readonly string[] = [],
): Promise<boolean> {
  const assignments = [`${column} = IF(LAST_INSERT_ID(1), ${column}, ${column})`, ...update].join(', ');
  const { insertId } = await resultOn(queryRunner, `${sql} ON DUPLICATE KEY UPDATE ${assignments}`, parameters);
  return Number(insertId) === 0;
}
