import type { DataSource } from 'typeorm';
import { newEventId } from '../../event/event-id';
import { HEADER } from '../../event/message-headers';
import type { InboxKey } from '../../inbox/inbox.store';
import type { Audit, AuditRecord, PausedQueue, QueueName } from '../audit';
import type { HandlingKey, Replacement } from '../operations.store';
import { queryAlone } from './sql';
import { sqlNamesOf } from './sql-names';
import { storableIn } from './storable-texts';

/**
 * What people change. Each statement writes the row of the audit too, so that one is not without the other. What waits for rows locks them in
 * the order of their keys: see PostgresOutboxStore.
 */
export class PostgresActions {
  constructor(protected readonly dataSource: DataSource) {}

  protected get outbox(): string {
    return sqlNamesOf(this.dataSource).outbox;
  }

  protected get inbox(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  /**
   * A compensation that runs at this moment holds an unexpired claim: such a row is left alone. What consumers have reported
   * `handled` since the event died stays; when that is all of them, the event is consumed.
   */
  async redrive(eventIds: readonly string[], evenIfCompensated: boolean, audit: Audit): Promise<readonly string[]> {
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
       ), done AS (
       UPDATE ${this.outbox} AS o SET
         status = CASE WHEN j.complete THEN 'consumed' ELSE 'pending' END,
         due_at = CASE WHEN j.complete THEN NULL ELSE clock_timestamp() END,
         ended_at = CASE WHEN j.complete THEN clock_timestamp() END,
         reason = CASE WHEN j.complete THEN NULL ELSE 'redriven by hand' END,
         published_at = CASE WHEN o.outcomes = '{}'::jsonb THEN NULL ELSE o.published_at END,
         attempts = 0, claim_token = NULL, redrives = o.redrives + 1, compensated_at = NULL, compensation_attempts = 0, archived_at = NULL,
         outcomes = j.outcomes
       FROM judged AS j WHERE o.id = j.id
       RETURNING o.id
       ), audited AS (${this.audited('id', 3)})
       SELECT id FROM done`,
      [eventIds, evenIfCompensated, ...this.auditValues(audit)],
    );
    return rows.map(({ id }) => id);
  }

  async retryInbox(keys: readonly HandlingKey[], audit: Audit): Promise<readonly InboxKey[]> {
    return queryAlone<InboxKey>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT i.event_id, i.consumer, i.type FROM ${this.inbox} AS i
         JOIN (SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[])) AS k (event_id, consumer, type)
           ON i.event_id = k.event_id AND i.consumer = k.consumer AND i.type = coalesce(k.type, i.type)
         WHERE i.status <> 'handled' AND (i.claim_token IS NULL OR i.due_at <= clock_timestamp())
         ORDER BY i.event_id, i.consumer, i.type FOR UPDATE OF i
       ), done AS (
       UPDATE ${this.inbox} AS i
       SET status = CASE i.status WHEN 'waiting' THEN 'waiting' ELSE 'failed' END, due_at = clock_timestamp(), claim_token = NULL, ended_at = NULL,
         attempts = CASE i.status WHEN 'failed' THEN i.attempts ELSE 0 END, unfinished_starts = 0
       FROM chosen AS c WHERE i.event_id = c.event_id AND i.consumer = c.consumer AND i.type = c.type
       RETURNING i.event_id AS "eventId", i.consumer, i.type
       ), audited AS (${this.audited(HANDLING_ITEM, 4)})
       SELECT * FROM done`,
      [...columnsOf(keys), ...this.auditValues(audit)],
    );
  }

  async discard(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND status = 'dead' AND (claim_token IS NULL OR due_at <= clock_timestamp())
         ORDER BY id FOR UPDATE
       ), done AS (
         DELETE FROM ${this.outbox} AS o USING chosen AS c WHERE o.id = c.id RETURNING o.id
       ), audited AS (${this.audited('id', 2)})
       SELECT id FROM done`,
      [eventIds, ...this.auditValues(audit)],
    );
    return rows.map(({ id }) => id);
  }

  async archive(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND status = 'dead' AND archived_at IS NULL AND (claim_token IS NULL OR due_at <= clock_timestamp())
         ORDER BY id FOR UPDATE
       ), done AS (
         UPDATE ${this.outbox} AS o SET archived_at = clock_timestamp() FROM chosen AS c WHERE o.id = c.id RETURNING o.id
       ), audited AS (${this.audited('id', 2)})
       SELECT id FROM done`,
      [eventIds, ...this.auditValues(audit)],
    );
    return rows.map(({ id }) => id);
  }

  async replace(eventId: string, by: Replacement, evenIfCompensated: boolean, audit: Audit): Promise<boolean> {
    const item = `jsonb_build_object('eventId', id, 'replacedBy', $2::text)`;
    const rows = await queryAlone(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id, type, version, headers, consumers, confirm, event_key FROM ${this.outbox}
         WHERE id = $1::uuid AND status = 'dead' AND archived_at IS NULL AND ($4 OR compensated_at IS NULL)
           AND (claim_token IS NULL OR due_at <= clock_timestamp())
         FOR UPDATE
       ), made AS (
         INSERT INTO ${this.outbox}
           (due_at, status, attempts, id, type, version, payload, headers, consumers, confirm, event_key, causation_id)
         SELECT clock_timestamp(), 'pending', 0, $2::uuid, type, version, $3::json, headers, consumers, confirm, event_key, id FROM chosen
       ), done AS (
         UPDATE ${this.outbox} AS o SET archived_at = clock_timestamp(), due_at = NULL, claim_token = NULL
         FROM chosen AS c WHERE o.id = c.id RETURNING o.id
       ), audited AS (${this.audited(item, 5)})
       SELECT FROM done`,
      [eventId, by.id, by.payload, evenIfCompensated, ...this.auditValues(audit)],
    );
    return rows.length === 1;
  }

  async sendAgain(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND confirm AND status IN ('published', 'consumed')
           AND (claim_token IS NULL OR due_at <= clock_timestamp())
         ORDER BY id FOR UPDATE
       ), done AS (
         UPDATE ${this.outbox} AS o SET status = 'published', outcomes = o.outcomes - $2::text, attempts = 0, due_at = clock_timestamp(),
           claim_token = NULL, ended_at = NULL, reason = 'sent again by hand'
         FROM chosen AS c WHERE o.id = c.id RETURNING o.id
       ), audited AS (${this.audited('id', 3)})
       SELECT id FROM done`,
      [eventIds, consumer, ...this.auditValues(audit)],
    );
    return rows.map(({ id }) => id);
  }

  async backfill(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH chosen AS MATERIALIZED (
         SELECT id FROM ${this.outbox}
         WHERE id = ANY($1::uuid[]) AND due_at IS NULL AND status IN ('consumed', 'published') AND NOT consumers ? $2 AND NOT outcomes ? $2
         ORDER BY id FOR UPDATE
       ), done AS (
         UPDATE ${this.outbox} AS o SET status = 'published', confirm = true, attempts = 0, due_at = clock_timestamp(), claim_token = NULL,
           ended_at = NULL, reason = 'sent to a new consumer by hand',
           consumers = CASE WHEN o.consumers <> '[]'::jsonb THEN o.consumers ELSE coalesce((
             SELECT jsonb_agg(e.key) FROM jsonb_each(o.outcomes) AS e WHERE e.value ->> 'outcome' = 'handled'), '[]') END || to_jsonb($2::text),
           headers = coalesce(o.headers, '{}')
             || jsonb_build_object('${HEADER.backfill}', concat_ws(' ', o.headers ->> '${HEADER.backfill}', $2::text))
         FROM chosen AS c WHERE o.id = c.id RETURNING o.id
       ), audited AS (${this.audited('id', 3)})
       SELECT id FROM done`,
      [eventIds, consumer, ...this.auditValues(audit)],
    );
    return rows.map(({ id }) => id);
  }

  async pause({ consumer, type }: QueueName, audit: Audit): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `WITH done AS (
         INSERT INTO ${this.paused} (consumer, type, done_by, why) VALUES ($1, $2, $6, $7)
         ON CONFLICT DO NOTHING RETURNING consumer, type
       ), audited AS (${this.audited(QUEUE_ITEM, 3)})
       SELECT FROM done`,
      [consumer, type, ...this.auditValues(audit)],
    );
    return rows.length === 1;
  }

  async resume({ consumer, type }: QueueName, audit: Audit): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `WITH done AS (
         DELETE FROM ${this.paused} WHERE consumer = $1 AND type = $2 RETURNING consumer, type
       ), audited AS (${this.audited(QUEUE_ITEM, 3)})
       SELECT FROM done`,
      [consumer, type, ...this.auditValues(audit)],
    );
    return rows.length === 1;
  }

  async pausedQueues(): Promise<readonly PausedQueue[]> {
    return queryAlone<PausedQueue>(
      this.dataSource,
      `SELECT consumer, type, since, done_by AS by, why FROM ${this.paused} ORDER BY consumer, type`,
    );
  }

  async listAudit(before: string | undefined, limit: number): Promise<readonly AuditRecord[]> {
    return queryAlone<AuditRecord>(
      this.dataSource,
      `SELECT id, run_id AS "runId", at, operation, done_by AS by, why, filter, items, count FROM ${this.audit}
       WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2`,
      [before ?? null, limit],
    );
  }

  private get audit(): string {
    return sqlNamesOf(this.dataSource).table('audit');
  }

  private get paused(): string {
    return sqlNamesOf(this.dataSource).table('paused');
  }

  /**
   * Writes what is in `done`; nothing when there is nothing.
   * @param item what is kept of a row of it
   * @param from number of the first of the parameters of `auditValues`
   */
  private audited(item: string, from: number): string {
    const [id, runId, operation, by, why, filter] = Array.from({ length: 6 }, (_, index) => `$${from + index}`);
    return `INSERT INTO ${this.audit} (id, run_id, operation, done_by, why, filter, items, count)
         SELECT ${id}::uuid, ${runId}::uuid, ${operation}, ${by}, ${why}, ${filter}::jsonb, jsonb_agg(${item}), count(*) FROM done
         HAVING count(*) > 0`;
  }

  private auditValues({ runId, operation, by, why, filter }: Audit): readonly unknown[] {
    const stored = (text: string): string => storableIn(this.dataSource, text);
    const asked = filter && stored(JSON.stringify(filter));
    return [newEventId(), runId, operation, stored(by), why === null ? null : stored(why), asked];
  }
}

const HANDLING_ITEM = `jsonb_build_object('eventId', "eventId", 'consumer', consumer, 'type', type)`;
const QUEUE_ITEM = `jsonb_build_object('consumer', consumer, 'type', type)`;

export function columnsOf(
  keys: readonly HandlingKey[],
): [eventIds: string[], consumers: string[], types: (string | null)[]] {
  return [
    keys.map(({ eventId }) => eventId),
    keys.map(({ consumer }) => consumer),
    keys.map(({ type }) => type ?? null),
  ];
}
