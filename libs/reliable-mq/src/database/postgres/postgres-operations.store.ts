import type { InboxKey } from '../../inbox/inbox.store';
import { readCursor } from '../cursor';
import type { PastEvent, PastFilter } from '../past-events';
import type { DeadEvent, DeadFilter, FailedFilter, FailedHandling, Page } from '../failures';
import {
  DEFAULT_LIMIT,
  type EventFilter,
  type EventRecord,
  type EventState,
  type HandlingKey,
  type HandlingRecord,
  type HandlingState,
  type InboxFilter,
  type InboxKind,
  type InboxRecord,
  MAX_LIMIT,
  type OperationsStore,
  type ReliableMqStatistics,
} from '../operations.store';
import { type OutboxTableRow, toEventRecord } from '../event-rows';
import {
  HANDLING_COLUMNS,
  type HandlingTableRow,
  INBOX_ORDER,
  type InboxTableRow,
  toHandlingRecord,
  toInboxRecord,
} from '../inbox-rows';
import { columnsOf, PostgresActions } from './postgres-actions';
import { Conditions, deadEvents, failedHandlings, NEEDS_PERSON, NOT_HANDLED } from './postgres-failures';
import { pastEvents } from './postgres-past-events';
import { statisticsOf } from './postgres-statistics';
import { queryAlone, utcText } from './sql';

/** PostgreSQL 13 and later. */
export class PostgresOperationsStore extends PostgresActions implements OperationsStore {
  /**
   * By key or cause where one is given (reliable_mq_outbox_event_key, reliable_mq_outbox_causation); else dead events by
   * reliable_mq_outbox_dead or reliable_mq_outbox_person, unfinished ones by reliable_mq_outbox_due, all others along the primary key.
   */
  async list(filter: EventFilter): Promise<readonly EventRecord[]> {
    const { status, limit = DEFAULT_LIMIT } = filter;
    const conditions = new Conditions()
      .where('status = ?', status)
      .when(status === 'pending' || status === 'published', 'due_at IS NOT NULL')
      .when(filter.needPerson, NEEDS_PERSON)
      .where('type = ?', filter.type)
      .where('event_key = ?', filter.key)
      .where('causation_id = ?::uuid', filter.causationId)
      .where('id < ?::uuid', filter.before)
      .when(filter.overdue, 'due_at <= statement_timestamp()');
    const rows = await queryAlone<OutboxTableRow>(
      this.dataSource,
      `SELECT * FROM ${this.outbox} WHERE ${conditions.toString()}
       ORDER BY id DESC LIMIT ${conditions.parameter(Math.min(limit, MAX_LIMIT))}`,
      conditions.values,
    );
    return rows.map(toEventRecord);
  }

  async get(eventId: string): Promise<EventRecord | undefined> {
    const [row] = await queryAlone<OutboxTableRow>(this.dataSource, `SELECT * FROM ${this.outbox} WHERE id = $1`, [
      eventId,
    ]);
    return row && toEventRecord(row);
  }

  async eventsOf(eventIds: readonly string[]): Promise<readonly EventRecord[]> {
    const rows = await queryAlone<OutboxTableRow>(
      this.dataSource,
      `SELECT * FROM ${this.outbox} WHERE id = ANY($1::uuid[]) ORDER BY id`,
      [eventIds],
    );
    return rows.map(toEventRecord);
  }

  async causedBy(eventIds: readonly string[], limit: number): Promise<readonly EventRecord[]> {
    const rows = await queryAlone<OutboxTableRow>(
      this.dataSource,
      // Of each cause no more than there is room for, so that the index is read no further.
      `SELECT o.* FROM unnest($1::uuid[]) AS cause (id) CROSS JOIN LATERAL (
         SELECT * FROM ${this.outbox} WHERE causation_id = cause.id ORDER BY id LIMIT $2) AS o
       ORDER BY o.id LIMIT $2`,
      [eventIds, limit],
    );
    return rows.map(toEventRecord);
  }

  async handlingsOf(eventIds: readonly string[], limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlingsWhere('event_id = ANY($1::text[])', eventIds, limit);
  }

  async handlingsAfter({ eventId, consumer, type }: InboxKey, limit: number): Promise<readonly HandlingRecord[]> {
    const rows = await queryAlone<HandlingTableRow>(
      this.dataSource,
      // Along the primary key.
      `SELECT ${HANDLING_COLUMNS.join(', ')} FROM ${this.inbox} WHERE (event_id, consumer, type) > ($1, $2, $3)
       ORDER BY event_id, consumer, type LIMIT $4`,
      [eventId, consumer, type, limit],
    );
    return rows.map(toHandlingRecord);
  }

  async listHandlings(key: string, limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlingsWhere('event_key = $1', key, limit);
  }

  private async handlingsWhere(condition: string, value: unknown, limit: number): Promise<readonly HandlingRecord[]> {
    const rows = await queryAlone<HandlingTableRow>(
      this.dataSource,
      `SELECT ${HANDLING_COLUMNS.join(', ')} FROM ${this.inbox} WHERE ${condition} ORDER BY received_at LIMIT $2`,
      [value, limit],
    );
    return rows.map(toHandlingRecord);
  }

  async listInbox(filter: InboxFilter): Promise<readonly InboxRecord[]> {
    const { status, key, eventId, before, limit = DEFAULT_LIMIT } = filter;
    const conditions = new Conditions()
      .where('event_id = ?', eventId)
      .where('event_key = ?', key)
      .where('consumer = ?', filter.consumer)
      .where('status = ?', status)
      .where('type = ?', filter.type)
      // Written out, so that the partial indexes serve.
      .when(status === 'failed', 'due_at IS NOT NULL')
      .when(status === 'rejected' || status === 'dead', "status IN ('rejected', 'dead')")
      .when(status === undefined && eventId === undefined && key === undefined, NOT_HANDLED);
    if (before !== undefined) {
      conditions.where(`(${INBOX_ORDER.join(', ')}) < (?::timestamptz, ?, ?, ?)`, ...readCursor(before));
    }
    const rows = await queryAlone<InboxTableRow>(
      this.dataSource,
      `SELECT *, ${utcText('received_at')} AS received_at_text FROM ${this.inbox} WHERE ${conditions.toString()}
       ORDER BY ${INBOX_ORDER.map((column) => `${column} DESC`).join(', ')} LIMIT ${conditions.parameter(Math.min(limit, MAX_LIMIT))}`,
      conditions.values,
    );
    return rows.map(toInboxRecord);
  }

  async deadEvents(filter: DeadFilter, page: Page): Promise<readonly DeadEvent[]> {
    return deadEvents(this.dataSource, filter, page);
  }

  async pastEvents(filter: PastFilter, page: Page): Promise<readonly PastEvent[]> {
    return pastEvents(this.dataSource, filter, page);
  }

  async failedHandlings(filter: FailedFilter, page: Page): Promise<readonly FailedHandling[]> {
    return failedHandlings(this.dataSource, filter, page);
  }

  async inboxKinds(): Promise<readonly InboxKind[]> {
    // By the index (consumer, type, due_at) of unfinished rows: from one pair straight to the next one.
    const due = 'due_at IS NOT NULL';
    const ofKind = `${due} AND (i.consumer, i.type) = (kind.consumer, kind.type)`;
    const rows = await queryAlone<{ consumer: string; type: string; unfinished: number; overdue_ms: number | null }>(
      this.dataSource,
      `WITH RECURSIVE kind AS (
         (SELECT consumer, type FROM ${this.inbox} WHERE ${due} ORDER BY consumer, type LIMIT 1)
         UNION ALL
         SELECT following.* FROM kind CROSS JOIN LATERAL (
           SELECT consumer, type FROM ${this.inbox} AS i
           WHERE ${due} AND (i.consumer, i.type) > (kind.consumer, kind.type) ORDER BY consumer, type LIMIT 1) AS following)
       SELECT consumer, type,
         (SELECT count(*)::int FROM (SELECT FROM ${this.inbox} AS i WHERE ${ofKind} LIMIT ${MAX_LIMIT}) AS counted) AS unfinished,
         (SELECT (extract(epoch FROM clock_timestamp() - min(due_at)) * 1000)::float8 FROM ${this.inbox} AS i WHERE ${ofKind}) AS overdue_ms
       FROM kind
       UNION ALL
       SELECT consumer, type, 0, NULL FROM (
         SELECT consumer, type FROM ${this.inbox} WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT ${MAX_LIMIT}) AS ended
       WHERE (consumer, type) NOT IN (SELECT consumer, type FROM kind) GROUP BY consumer, type`,
    );
    return rows.map(({ consumer, type, unfinished, overdue_ms }) => ({
      consumer,
      type,
      unfinished,
      overdueMs: overdue_ms ?? 0,
    }));
  }

  async statistics(): Promise<ReliableMqStatistics> {
    const [{ outbox, inbox }, paused] = await Promise.all([statisticsOf(this.dataSource), this.pausedQueues()]);
    return { outbox, inbox: { ...inbox, paused } };
  }

  async eventStates(eventIds: readonly string[]): Promise<readonly EventState[]> {
    return queryAlone<EventState>(
      this.dataSource,
      `SELECT id, status, compensated_at IS NOT NULL AS "isCompensated",
         archived_at IS NOT NULL AS "isArchived" FROM ${this.outbox} WHERE id = ANY($1::uuid[])`,
      [eventIds],
    );
  }

  async handlingStates(keys: readonly HandlingKey[]): Promise<readonly HandlingState[]> {
    return queryAlone<HandlingState>(
      this.dataSource,
      `SELECT i.event_id AS "eventId", i.consumer, i.type, i.status
       FROM ${this.inbox} AS i JOIN unnest($1::text[], $2::text[], $3::text[]) AS k (event_id, consumer, type)
         ON i.event_id = k.event_id AND i.consumer = k.consumer AND i.type = coalesce(k.type, i.type)`,
      columnsOf(keys),
    );
  }
}
