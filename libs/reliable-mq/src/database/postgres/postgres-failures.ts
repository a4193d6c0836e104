import type { DataSource } from 'typeorm';
import type { AttemptRecord } from '../../event/outcome';
import type { StoredOutcome } from '../../outbox/outbox.entity';
import { readCursor } from '../cursor';
import { placeOfDeath } from '../event-rows';
import { INBOX_ORDER, inboxCursor, placeOf } from '../inbox-rows';
import type { DeadEvent, DeadFilter, FailedFilter, FailedHandling, FailedStatus, Page } from '../failures';
import { queryAlone, utcText } from './sql';
import { sqlNamesOf } from './sql-names';

/** Index reliable_mq_outbox_person. */
export const NEEDS_PERSON = `status = 'dead' AND due_at IS NULL AND compensated_at IS NULL AND archived_at IS NULL`;
/** Indexes reliable_mq_inbox_due and reliable_mq_inbox_given_up. */
export const NOT_HANDLED = `(due_at IS NOT NULL OR status IN ('rejected', 'dead'))`;

/** Conditions of a statement, with the values of their parameters. */
export class Conditions {
  readonly values: unknown[] = [];
  private readonly all: string[] = [];

  /** @param condition has a question mark where the value stands; left out when there is none */
  where(condition: string, ...values: readonly unknown[]): this {
    if (values.includes(undefined)) return this;
    let next = 0;
    this.all.push(condition.replaceAll('?', () => this.parameter(values[next++])));
    return this;
  }

  when(holds: boolean | undefined, condition: string): this {
    if (holds) this.all.push(condition);
    return this;
  }

  parameter(value: unknown): string {
    return `$${this.values.push(value)}`;
  }

  toString(): string {
    return this.all.length === 0 ? 'TRUE' : this.all.join(' AND ');
  }
}

/** Index reliable_mq_outbox_dead, reliable_mq_outbox_person or reliable_mq_outbox_event_key. */
export async function deadEvents(
  dataSource: DataSource,
  filter: DeadFilter,
  { order, behind, limit }: Page,
): Promise<readonly DeadEvent[]> {
  const isForward = order === 'oldestFirst';
  const conditions = new Conditions()
    .when(true, "status = 'dead'")
    .when(filter.needPerson, NEEDS_PERSON)
    .when(true, `archived_at IS ${filter.archived ? 'NOT NULL' : 'NULL'}`)
    .where('type = ?', filter.type)
    .where('event_key = ?', filter.key)
    .where('causation_id = ?::uuid', filter.causationId)
    .where(`id ${isForward ? '>' : '<'} ?::uuid`, behind);
  const rows = await queryAlone<DeadRow>(
    dataSource,
    `SELECT id, type, event_key, reason, outcomes, ended_at, compensated_at FROM ${sqlNamesOf(dataSource).outbox}
     WHERE ${conditions.toString()} ORDER BY id ${isForward ? 'ASC' : 'DESC'} LIMIT ${conditions.parameter(limit)}`,
    conditions.values,
  );
  return rows.map(({ id, type, event_key, reason, outcomes, ended_at, compensated_at }) => ({
    id,
    type,
    key: event_key,
    reason,
    where: placeOfDeath(reason, outcomes),
    endedAt: ended_at,
    isCompensated: compensated_at !== null,
    cursor: id,
  }));
}

/** Indexes reliable_mq_inbox_due and reliable_mq_inbox_given_up, or reliable_mq_inbox_event_key. */
export async function failedHandlings(
  dataSource: DataSource,
  filter: FailedFilter,
  { order, behind, limit }: Page,
): Promise<readonly FailedHandling[]> {
  const isForward = order === 'oldestFirst';
  const { status } = filter;
  const conditions = new Conditions()
    .when(status === undefined, NOT_HANDLED)
    .when(status === 'failed' || status === 'waiting', 'due_at IS NOT NULL')
    .when(status === 'rejected' || status === 'dead', "status IN ('rejected', 'dead')")
    .where('status = ?', status)
    .where('consumer = ?', filter.consumer)
    .where('type = ?', filter.type)
    .where('event_key = ?', filter.key);
  if (behind !== undefined) {
    const comparison = `(${INBOX_ORDER.join(', ')}) ${isForward ? '>' : '<'} (?::timestamptz, ?, ?, ?)`;
    conditions.where(comparison, ...readCursor(behind));
  }
  const rows = await queryAlone<FailedRow>(
    dataSource,
    `SELECT event_id, consumer, type, status, event_key, reason, history -> -1 AS last_attempt, received_at, ${utcText('received_at')} AS received_at_text
     FROM ${sqlNamesOf(dataSource).inbox} WHERE ${conditions.toString()}
     ORDER BY ${INBOX_ORDER.map((column) => `${column} ${isForward ? 'ASC' : 'DESC'}`).join(', ')} LIMIT ${conditions.parameter(limit)}`,
    conditions.values,
  );
  return rows.map((row) => ({
    eventId: row.event_id,
    consumer: row.consumer,
    type: row.type,
    status: row.status,
    key: row.event_key,
    reason: row.reason,
    ...placeOf(row),
    receivedAt: row.received_at,
    cursor: inboxCursor(row),
  }));
}

interface DeadRow {
  id: string;
  type: string;
  event_key: string | null;
  reason: string | null;
  outcomes: Record<string, StoredOutcome>;
  ended_at: Date;
  compensated_at: Date | null;
}

interface FailedRow {
  event_id: string;
  consumer: string;
  type: string;
  status: FailedStatus;
  event_key: string | null;
  reason: string | null;
  last_attempt: AttemptRecord | null;
  received_at: Date;
  received_at_text: string;
}
