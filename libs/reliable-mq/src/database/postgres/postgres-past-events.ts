import type { DataSource } from 'typeorm';
import { lowestEventId } from '../../event/event-id';
import type { OutboxStatus } from '../../outbox/outbox.entity';
import type { Page } from '../failures';
import type { PastEvent, PastFilter } from '../past-events';
import { Conditions } from './postgres-failures';
import { queryAlone } from './sql';
import { sqlNamesOf } from './sql-names';

/** Along the primary key: ids are in the order of their moments. A rare type reads on until the page is full, or the table ends. */
export async function pastEvents(
  dataSource: DataSource,
  { type, consumer, since }: PastFilter,
  { order, behind, limit }: Page,
): Promise<readonly PastEvent[]> {
  const isForward = order === 'oldestFirst';
  const conditions = new Conditions()
    .where('type = ?', type)
    .where('id >= ?::uuid', since && lowestEventId(since.getTime()))
    .where(`id ${isForward ? '>' : '<'} ?::uuid`, behind);
  const isKnown = `consumers ? ${conditions.parameter(consumer)}`;
  const isReported = `outcomes ? ${conditions.parameter(consumer)}`;
  const rows = await queryAlone<PastRow>(
    dataSource,
    `SELECT id, status, created_at, due_at IS NULL AS has_ended, ${isKnown} OR ${isReported} AS is_known FROM ${sqlNamesOf(dataSource).outbox}
     WHERE ${conditions.toString()} ORDER BY id ${isForward ? 'ASC' : 'DESC'} LIMIT ${conditions.parameter(limit)}`,
    conditions.values,
  );
  return rows.map(({ id, status, created_at, has_ended, is_known }) => ({
    id,
    status,
    createdAt: created_at,
    hasEnded: has_ended,
    isKnown: is_known,
    cursor: id,
  }));
}

interface PastRow {
  id: string;
  status: OutboxStatus;
  created_at: Date;
  has_ended: boolean;
  is_known: boolean;
}
