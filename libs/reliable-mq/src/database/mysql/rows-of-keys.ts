import type { DataSource } from 'typeorm';
import { keyCollation } from './migrations/schema-migration';
import { serverOf } from './server';
import { sqlNamesOf } from './sql-names';

/**
 * SQL of rows of the inbox, `i`, by so many keys: event id, consumer and type of each. A DELETE with `IN (…)` may scan a small table instead,
 * whatever index it is told to use, and would wait for each row that somebody holds.
 */
export function rowsOfKeys(dataSource: DataSource, count: number): string {
  const collated = `? COLLATE ${keyCollation(serverOf(dataSource).kind)}`;
  const first = `SELECT ${collated} AS event_id, ${collated} AS consumer, ${collated} AS type`;
  const others = Array.from({ length: count - 1 }, () => 'UNION ALL SELECT ?, ?, ?');
  return `(${[first, ...others].join(' ')}) AS k STRAIGHT_JOIN ${sqlNamesOf(dataSource).inbox} AS i
    ON i.event_id = k.event_id AND i.consumer = k.consumer AND i.type = k.type`;
}
