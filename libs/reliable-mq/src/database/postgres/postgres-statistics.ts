import type { DataSource } from 'typeorm';
import { type ReliableMqStatistics, STATISTICS_CAP } from '../operations.store';
import { NEEDS_PERSON } from './postgres-failures';
import { queryAlone } from './sql';
import { sqlNamesOf } from './sql-names';

/** Counts of everything unfinished, on the partial indexes. */
export async function statisticsOf(
  dataSource: DataSource,
): Promise<Omit<ReliableMqStatistics, 'inbox'> & { readonly inbox: Omit<ReliableMqStatistics['inbox'], 'paused'> }> {
  const { outbox, inbox } = sqlNamesOf(dataSource);
  const count = (table: string, condition: string): string =>
    `(SELECT count(*) FROM (SELECT FROM ${table} WHERE ${condition} LIMIT ${STATISTICS_CAP}) AS counted)::int`;
  const overdue = (condition: string, table: string): string =>
    `coalesce((SELECT extract(epoch FROM statement_timestamp() - due_at) * 1000 FROM ${table} WHERE due_at <= statement_timestamp()${condition} ORDER BY due_at LIMIT 1), 0)::float8`;
  const byStatus = ['pending', 'published', 'dead'].map((status) => overdue(` AND status = '${status}'`, outbox));
  const [row] = await queryAlone<Record<string, number>>(
    dataSource,
    `SELECT ${count(outbox, "status = 'pending' AND due_at IS NOT NULL")} AS pending,
       ${count(outbox, "status = 'published' AND due_at IS NOT NULL")} AS published,
       ${count(outbox, "status = 'dead'")} AS dead,
       ${count(outbox, "status = 'dead' AND due_at IS NOT NULL")} AS compensating,
       ${count(outbox, "status = 'dead' AND compensated_at IS NOT NULL")} AS compensated,
       ${count(outbox, NEEDS_PERSON)} AS need_person,
       greatest(${byStatus.join(', ')}) AS outbox_overdue, ${estimatedRows(outbox)} AS outbox_rows,
       ${count(inbox, 'due_at IS NOT NULL')} AS failed,
       ${count(inbox, "status IN ('rejected', 'dead') AND status = 'rejected'")} AS rejected,
       ${count(inbox, "status IN ('rejected', 'dead') AND status = 'dead'")} AS inbox_dead,
       ${overdue('', inbox)} AS inbox_overdue, ${estimatedRows(inbox)} AS inbox_rows`,
  );
  const value = (name: string): number => row?.[name] ?? 0;
  return {
    outbox: {
      pending: value('pending'),
      published: value('published'),
      dead: value('dead'),
      compensating: value('compensating'),
      compensated: value('compensated'),
      needPerson: value('need_person'),
      oldestOverdueMs: value('outbox_overdue'),
      estimatedRows: value('outbox_rows'),
    },
    inbox: {
      failed: value('failed'),
      rejected: value('rejected'),
      dead: value('inbox_dead'),
      oldestOverdueMs: value('inbox_overdue'),
      estimatedRows: value('inbox_rows'),
    },
  };
}

/** Pages that are read of a table whose rows nobody has counted yet. */
const SAMPLE_PAGES = 1000;

/**
 * What the last VACUUM or ANALYZE has counted, for the pages that there are now; where there was none yet, or the table is small, what a
 * sample of its pages holds.
 */
function estimatedRows(table: string): string {
  const text = table.replaceAll("'", "''");
  const pages = `(pg_relation_size('${text}') / current_setting('block_size')::int)`;
  return `(SELECT CASE WHEN reltuples > 0 AND relpages > 0 AND ${pages} > ${SAMPLE_PAGES} THEN reltuples / relpages * ${pages}
      ELSE (SELECT count(*) FROM ${table} TABLESAMPLE SYSTEM (least(100, 100.0 * ${SAMPLE_PAGES} / greatest(${pages}, 1))))
        * greatest(${pages}::float8 / ${SAMPLE_PAGES}, 1) END::float8
    FROM pg_class WHERE oid = '${text}'::regclass)`;
}
