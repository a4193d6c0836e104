import type { DataSource } from 'typeorm';
import { queryAlone, utcText } from './sql';
import { sqlNamesOf } from './sql-names';
import type { InboxKey } from '../../inbox/inbox.store';
import {
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
  STATISTICS_CAP,
} from '../operations.store';
import { readCursor } from '../cursor';
import { type OutboxTableRow, toEventRecord } from '../event-rows';
import {
  HANDLING_COLUMNS,
  type HandlingTableRow,
  INBOX_ORDER,
  type InboxTableRow,
  toHandlingRecord,
  toInboxRecord,
} from '../inbox-rows';

const DEFAULT_LIMIT = 100;

/** PostgreSQL 13 and later. What waits for rows locks them in the order of their keys: see PostgresOutboxStore. */
export class PostgresOperationsStore implements OperationsStore {
  constructor(private readonly dataSource: DataSource) {}

  private get outbox(): string {
    return sqlNamesOf(this.dataSource).outbox;
  }

  private get inbox(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  /**
   * By key or cause where one is given (reliable_mq_outbox_event_key, reliable_mq_outbox_causation); else dead events by
   * reliable_mq_outbox_dead, unfinished ones by reliable_mq_outbox_due, all others along the primary key.
   */
  async list(filter: EventFilter): Promise<readonly EventRecord[]> {
    const { status, type, key, causationId, overdue, before, limit = DEFAULT_LIMIT } = filter;
    const conditions = ['TRUE'];
    const parameters: unknown[] = [];
    const where = (condition: string, value: unknown): void => {
      parameters.push(value);
      conditions.push(condition.replace('?', `$${parameters.length}`));
    };
    if (status !== undefined) where('status = ?', status);
    if (status === 'pending' || status === 'published') conditions.push('due_at IS NOT NULL');
    if (type !== undefined) where('type = ?', type);
    if (key !== undefined) where('event_key = ?', key);
    if (causationId !== undefined) where('causation_id = ?::uuid', causationId);
    if (before !== undefined) where('id < ?::uuid', before);
    if (overdue) conditions.push('due_at <= statement_timestamp()');
    parameters.push(Math.min(limit, MAX_LIMIT));
    const rows = await queryAlone<OutboxTableRow>(
      this.dataSource,
      `SELECT * FROM ${this.outbox} WHERE ${conditions.join(' AND ')} ORDER BY id DESC LIMIT $${parameters.length}`,
      parameters,
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

  async listInbox({
    status,
    consumer,
    type,
    key,
    eventId,
    before,
    limit = DEFAULT_LIMIT,
  }: InboxFilter): Promise<readonly InboxRecord[]> {
    const conditions = ['TRUE'];
    const parameters: unknown[] = [];
    const where = (column: string, value: unknown): void => {
      parameters.push(value);
      conditions.push(`${column} = $${parameters.length}`);
    };
    if (eventId !== undefined) where('event_id', eventId);
    if (key !== undefined) where('event_key', key);
    if (consumer !== undefined) where('consumer', consumer);
    if (status !== undefined) where('status', status);
    if (type !== undefined) where('type', type);
    // Written out, so that the partial indexes serve.
    if (status === 'failed') conditions.push('due_at IS NOT NULL');
    if (status === 'rejected' || status === 'dead') conditions.push("status IN ('rejected', 'dead')");
    if (status === undefined && eventId === undefined && key === undefined)
      conditions.push("(due_at IS NOT NULL OR status IN ('rejected', 'dead'))");
    if (before !== undefined) {
      const from = parameters.push(...readCursor(before)) - INBOX_ORDER.length + 1;
      const [at, ...key] = INBOX_ORDER.map((_, index) => `$${from + index}`);
      conditions.push(`(${INBOX_ORDER.join(', ')}) < (${[`${at ?? ''}::timestamptz`, ...key].join(', ')})`);
    }
    parameters.push(Math.min(limit, MAX_LIMIT));
    const rows = await queryAlone<InboxTableRow>(
      this.dataSource,
      `SELECT *, ${utcText('received_at')} AS received_at_text FROM ${this.inbox} WHERE ${conditions.join(' AND ')}
       ORDER BY ${INBOX_ORDER.map((column) => `${column} DESC`).join(', ')} LIMIT $${parameters.length}`,
      parameters,
    );
    return rows.map(toInboxRecord);
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
    const count = (table: string, condition: string): string =>
      `(SELECT count(*) FROM (SELECT FROM ${table} WHERE ${condition} LIMIT ${STATISTICS_CAP}) AS counted)::int`;
    const overdue = (condition: string, table: string): string =>
      `coalesce((SELECT extract(epoch FROM statement_timestamp() - due_at) * 1000 FROM ${table} WHERE due_at <= statement_timestamp()${condition} ORDER BY due_at LIMIT 1), 0)::float8`;
    const byStatus = ['pending', 'published', 'dead'].map((status) =>
      overdue(` AND status = '${status}'`, this.outbox),
    );
    const [row] = await queryAlone<Record<string, number>>(
      this.dataSource,
      `SELECT ${count(this.outbox, "status = 'pending' AND due_at IS NOT NULL")} AS pending,
         ${count(this.outbox, "status = 'published' AND due_at IS NOT NULL")} AS published,
         ${count(this.outbox, "status = 'dead'")} AS dead,
         ${count(this.outbox, "status = 'dead' AND due_at IS NOT NULL")} AS compensating,
         ${count(this.outbox, "status = 'dead' AND compensated_at IS NOT NULL")} AS compensated,
         ${count(this.outbox, "status = 'dead' AND due_at IS NULL AND compensated_at IS NULL")} AS need_person,
         greatest(${byStatus.join(', ')}) AS outbox_overdue, ${estimatedRows(this.outbox)} AS outbox_rows,
         ${count(this.inbox, 'due_at IS NOT NULL')} AS failed,
         ${count(this.inbox, "status IN ('rejected', 'dead') AND status = 'rejected'")} AS rejected,
         ${count(this.inbox, "status IN ('rejected', 'dead') AND status = 'dead'")} AS inbox_dead,
         ${overdue('', this.inbox)} AS inbox_overdue, ${estimatedRows(this.inbox)} AS inbox_rows`,
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

  /**
   * A compensation that runs at this moment holds an unexpired claim: such a row is left alone. What consumers have reported
   * `handled` since the event died stays; when that is all of them, the event is consumed.
   */
  async redrive(eventIds: readonly string[], evenIfCompensated: boolean): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id, consumers, outcomes, confirm FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND status = 'dead' AND ($2 OR compensated_at IS NULL)
           AND (claim_token IS NULL OR due_at <= clock_timestamp())
         ORDER BY id FOR UPDATE
       ), judged AS (
         SELECT c.id, kept.outcomes,
           c.confirm AND CASE WHEN c.consumers = '[]'::jsonb THEN kept.outcomes <> '{}'::jsonb
                              ELSE kept.declared = jsonb_array_length(c.consumers) END AS complete
         FROM chosen AS c, LATERAL (
           SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') AS outcomes, count(*) FILTER (WHERE c.consumers ? e.key) AS declared
           FROM jsonb_each(c.outcomes) AS e WHERE e.value ->> 'outcome' = 'handled'
         ) AS kept
       )
       UPDATE ${this.outbox} AS o SET
         status = CASE WHEN j.complete THEN 'consumed' ELSE 'pending' END,
         due_at = CASE WHEN j.complete THEN NULL ELSE clock_timestamp() END,
         ended_at = CASE WHEN j.complete THEN clock_timestamp() END,
         reason = CASE WHEN j.complete THEN NULL ELSE 'redriven by hand' END,
         published_at = CASE WHEN o.outcomes = '{}'::jsonb THEN NULL ELSE o.published_at END,
         attempts = 0, claim_token = NULL, redrives = o.redrives + 1, compensated_at = NULL, compensation_attempts = 0,
         outcomes = j.outcomes
       FROM judged AS j WHERE o.id = j.id
       RETURNING o.id`,
      [eventIds, evenIfCompensated],
    );
    return rows.map(({ id }) => id);
  }

  async retryInbox(keys: readonly HandlingKey[]): Promise<readonly InboxKey[]> {
    return queryAlone<InboxKey>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT i.event_id, i.consumer, i.type FROM ${this.inbox} AS i
         JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])) AS k (event_id, consumer, type)
           ON i.event_id = k.event_id AND i.consumer = k.consumer AND i.type = coalesce(k.type, i.type)
         WHERE i.status <> 'handled' AND (i.claim_token IS NULL OR i.due_at <= clock_timestamp())
         ORDER BY i.event_id, i.consumer, i.type FOR UPDATE OF i
       )
       UPDATE ${this.inbox} AS i
       SET status = CASE i.status WHEN 'waiting' THEN 'waiting' ELSE 'failed' END, due_at = clock_timestamp(), claim_token = NULL, ended_at = NULL,
         attempts = CASE i.status WHEN 'failed' THEN i.attempts ELSE 0 END, unfinished_starts = 0
       FROM chosen AS c WHERE i.event_id = c.event_id AND i.consumer = c.consumer AND i.type = c.type
       RETURNING i.event_id AS "eventId", i.consumer, i.type`,
      columnsOf(keys),
    );
  }

  async discard(eventIds: readonly string[]): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND status = 'dead' AND (claim_token IS NULL OR due_at <= clock_timestamp())
         ORDER BY id FOR UPDATE
       )
       DELETE FROM ${this.outbox} AS o USING chosen AS c WHERE o.id = c.id RETURNING o.id`,
      [eventIds],
    );
    return rows.map(({ id }) => id);
  }

  async eventStates(eventIds: readonly string[]): Promise<readonly EventState[]> {
    return queryAlone<EventState>(
      this.dataSource,
      `SELECT id, status, compensated_at IS NOT NULL AS "isCompensated" FROM ${this.outbox} WHERE id = ANY($1::uuid[])`,
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

function columnsOf(keys: readonly HandlingKey[]): [eventIds: string[], consumers: string[], types: (string | null)[]] {
  return [
    keys.map(({ eventId }) => eventId),
    keys.map(({ consumer }) => consumer),
    keys.map(({ type }) => type ?? null),
  ];
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
