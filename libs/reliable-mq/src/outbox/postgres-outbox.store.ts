import type { DataSource, EntityManager } from 'typeorm';
import { appendHistory } from '../database/append-history';
import { qualifiedTable, queryAlone, queryIn } from '../database/sql';
import { OUTBOX_TABLE, type OutboxStatus, type StoredOutcome } from './outbox.entity';
import type {
  AppliedReceipt,
  ClaimableStatus,
  ClaimedEvent,
  NewOutboxEvent,
  OutboxStore,
  PublishSettlement,
  Receipt,
} from './outbox.store';

/** A consumer's own next attempt needs this long to be reported before the chase asks again. */
const RETRY_GRACE_MS = 5000;

/**
 * PostgreSQL 12 and later. `statement_timestamp()` stands where an index serves the comparison (it is stable;
 * `clock_timestamp()` is volatile and cannot bound an index scan).
 */
export class PostgresOutboxStore implements OutboxStore {
  private readonly table: string;

  constructor(private readonly dataSource: DataSource) {
    this.table = qualifiedTable(dataSource, OUTBOX_TABLE);
  }

  async insert(
    manager: EntityManager,
    events: readonly NewOutboxEvent[],
    token: string,
    leaseMs: number,
  ): Promise<void> {
    const parameters: unknown[] = [token, leaseMs];
    const tuples = events.map((event) => {
      const first =
        parameters.push(
          event.id,
          event.type,
          event.version,
          event.payload,
          event.headers === null ? null : JSON.stringify(event.headers),
          JSON.stringify(event.consumers),
          event.confirm,
        ) - 6;
      return (
        `($${first}, $${first + 1}, $${first + 2}, $${first + 3}, $${first + 4}, $${first + 5}, $${first + 6}, ` +
        "'pending', 1, clock_timestamp() + $2::float8 * interval '1 millisecond', $1)"
      );
    });
    await queryIn(
      manager,
      `INSERT INTO ${this.table}
         (id, type, version, payload, headers, consumers, confirm, status, attempts, due_at, claim_token)
       VALUES ${tuples.join(', ')}`,
      parameters,
    );
  }

  async existing(ids: readonly string[], token: string): Promise<ReadonlySet<string>> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `SELECT id FROM ${this.table} WHERE id = ANY($1::uuid[]) AND claim_token = $2`,
      [ids, token],
    );
    return new Set(rows.map((row) => row.id));
  }

  /** Index reliable_mq_outbox_due (status, due_at): an equality, a range and its order, so the scan stops at `limit`. */
  async claim(
    status: ClaimableStatus,
    limit: number,
    leaseMs: number,
    token: string,
    dueFrom = '-infinity',
  ): Promise<readonly ClaimedEvent[]> {
    const counter = status === 'dead' ? 'compensation_attempts' : 'attempts';
    const rows = await queryAlone<ClaimedRow>(
      this.dataSource,
      `WITH due AS MATERIALIZED (
           SELECT id, due_at FROM ${this.table}
           WHERE status = $1 AND due_at >= $5::timestamptz AND due_at <= statement_timestamp()
           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE ${this.table} AS o
         SET due_at = clock_timestamp() + $3::float8 * interval '1 millisecond', claim_token = $4, ${counter} = o.${counter} + 1
         FROM due WHERE o.id = due.id
         RETURNING o.id, o.type, o.version, o.payload::text AS payload, o.headers, o.consumers, o.confirm, o.attempts,
           o.compensation_attempts, o.redrives, o.published_at IS NOT NULL AS published_before, o.outcomes, o.reason,
           due.due_at::text AS due_at, extract(epoch FROM statement_timestamp() - due.due_at) * 1000 AS overdue_ms`,
      [status, limit, leaseMs, token, dueFrom],
    );
    return rows.map(toClaimedEvent).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /**
   * Locks its rows in the order of their ids, as `applyReceipts` does: two batches that share rows wait for each other
   * instead of deadlocking. Lost rows are told apart in the same snapshot, so the common case costs no second look.
   */
  async settle(settlements: readonly PublishSettlement[]): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH outcome AS (
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::text[])
             AS t (id, token, result, delay_ms, reason)
         ), locked AS MATERIALIZED (
           SELECT o.id, t.result, t.delay_ms, t.reason FROM ${this.table} AS o JOIN outcome AS t ON o.id = t.id
           WHERE o.claim_token = t.token AND o.status IN ('pending', 'published')
           ORDER BY o.id FOR UPDATE OF o
         ), settled AS (
           UPDATE ${this.table} AS o SET
             status = CASE l.result WHEN 'published' THEN 'published' WHEN 'dead' THEN 'dead'
                                    WHEN 'retry' THEN 'pending' ELSE o.status END,
             attempts = CASE l.result WHEN 'postponed' THEN greatest(o.attempts - 1, 0) ELSE o.attempts END,
             due_at = CASE WHEN l.result = 'published' AND NOT o.confirm THEN NULL
                           WHEN l.result = 'published' AND o.status = 'published'
                             THEN greatest(o.due_at, clock_timestamp() + l.delay_ms * interval '1 millisecond')
                           ELSE clock_timestamp() + l.delay_ms * interval '1 millisecond' END,
             published_at = CASE l.result WHEN 'published' THEN clock_timestamp() ELSE o.published_at END,
             ended_at = CASE WHEN l.result = 'dead' OR (l.result = 'published' AND NOT o.confirm) THEN clock_timestamp() END,
             reason = CASE l.result WHEN 'published' THEN NULL ELSE coalesce(l.reason, o.reason) END,
             history = CASE WHEN l.result IN ('retry', 'dead') THEN ${appendHistory('o.history', 'o.attempts', 'l.reason')} ELSE o.history END,
             claim_token = NULL
           FROM locked AS l WHERE o.id = l.id
           RETURNING o.id
         )
         SELECT t.id FROM outcome AS t
         JOIN ${this.table} AS o ON o.id = t.id
         LEFT JOIN settled AS s ON s.id = t.id
         WHERE s.id IS NULL AND o.claim_token IS DISTINCT FROM t.token AND o.status IN ('pending', 'published')`,
      [
        settlements.map((s) => s.id),
        settlements.map((s) => s.token),
        settlements.map((s) => s.result),
        settlements.map((s) => s.delayMs),
        settlements.map((s) => s.reason),
      ],
    );
    return rows.map((row) => row.id);
  }

  /**
   * `handled` is never overwritten, and `retrying` never overwrites a final outcome: receipts may arrive in any order.
   * Only declared consumers decide, where there are any. An ended event keeps its status; the outcome is kept beside it.
   */
  async applyReceipts(receipts: readonly Receipt[]): Promise<readonly AppliedReceipt[]> {
    const rows = await queryAlone<AppliedRow>(
      this.dataSource,
      `WITH receipt AS (
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::float8[])
             AS t (id, consumer, outcome, reason, retry_ms)
         ), locked AS MATERIALIZED (
           SELECT id, status, consumers, outcomes FROM ${this.table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
         ), merged AS (
           SELECT l.id, l.status, l.consumers,
             l.outcomes || coalesce(jsonb_object_agg(r.consumer, jsonb_build_object(
               'outcome', r.outcome, 'reason', r.reason, 'at', statement_timestamp()
             )) FILTER (WHERE
               l.outcomes -> r.consumer ->> 'outcome' IS DISTINCT FROM 'handled'
               AND NOT (r.outcome = 'retrying' AND coalesce(l.outcomes -> r.consumer ->> 'outcome', '') IN ('rejected', 'dead'))
             ), '{}') AS outcomes,
             max(r.retry_ms) FILTER (WHERE r.outcome = 'retrying') AS retry_ms
           FROM locked AS l JOIN receipt AS r ON r.id = l.id
           GROUP BY l.id, l.status, l.consumers, l.outcomes
         ), judged AS (
           SELECT m.*, verdict.complete, verdict.failure
           FROM merged AS m, LATERAL (
             SELECT
               CASE WHEN m.consumers = '[]'::jsonb THEN bool_or(e.value ->> 'outcome' = 'handled')
                    ELSE count(*) FILTER (WHERE m.consumers ? e.key AND e.value ->> 'outcome' = 'handled') = jsonb_array_length(m.consumers) END AS complete,
               min(e.key || ' ' || (e.value ->> 'outcome') || ': ' || coalesce(e.value ->> 'reason', 'no reason given'))
                 FILTER (WHERE e.value ->> 'outcome' IN ('rejected', 'dead') AND (m.consumers = '[]'::jsonb OR m.consumers ? e.key)) AS failure
             FROM jsonb_each(m.outcomes) AS e
           ) AS verdict
         ), decided AS (
           SELECT j.*, CASE WHEN j.status IN ('consumed', 'dead') THEN j.status
                            WHEN j.complete THEN 'consumed' WHEN j.failure IS NOT NULL THEN 'dead' ELSE 'published' END AS next_status
           FROM judged AS j
         )
         UPDATE ${this.table} AS o SET
           outcomes = d.outcomes,
           status = d.next_status,
           due_at = CASE WHEN d.next_status = d.status AND d.status IN ('consumed', 'dead') THEN o.due_at
                         WHEN d.next_status = 'consumed' THEN NULL
                         WHEN d.next_status = 'dead' THEN clock_timestamp()
                         WHEN d.retry_ms IS NOT NULL
                           THEN greatest(o.due_at, clock_timestamp() + (d.retry_ms + ${RETRY_GRACE_MS}) * interval '1 millisecond')
                         ELSE o.due_at END,
           published_at = coalesce(o.published_at, clock_timestamp()),
           ended_at = CASE WHEN d.next_status IN ('consumed', 'dead') THEN coalesce(o.ended_at, clock_timestamp()) END,
           reason = CASE WHEN d.status IN ('consumed', 'dead') THEN o.reason WHEN d.next_status = 'dead' THEN d.failure END,
           claim_token = CASE WHEN d.next_status IN ('consumed', 'dead') AND d.next_status <> d.status THEN NULL ELSE o.claim_token END
         FROM decided AS d WHERE o.id = d.id
         RETURNING o.id, o.type, d.status AS status_before, o.status, o.reason`,
      [
        receipts.map((r) => r.eventId),
        receipts.map((r) => r.consumer),
        receipts.map((r) => r.outcome),
        receipts.map((r) => r.reason),
        receipts.map((r) => r.retryAfterMs),
      ],
    );
    return rows.map((row) => ({
      eventId: row.id,
      type: row.type,
      statusBefore: row.status_before,
      status: row.status,
      reason: row.reason,
    }));
  }

  async settleCompensated(
    manager: EntityManager | undefined,
    id: string,
    token: string,
    handled: boolean,
  ): Promise<boolean> {
    const sql = `UPDATE ${this.table} SET due_at = NULL, claim_token = NULL, compensated_at = CASE WHEN $3 THEN clock_timestamp() END
       WHERE id = $1 AND claim_token = $2 AND status = 'dead' RETURNING id`;
    const parameters = [id, token, handled];
    const rows = manager ? await queryIn(manager, sql, parameters) : await queryAlone(this.dataSource, sql, parameters);
    return rows.length === 1;
  }

  async settleCompensationFailed(id: string, token: string, reason: string, delayMs: number): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} AS o SET
         due_at = clock_timestamp() + $4::float8 * interval '1 millisecond', claim_token = NULL,
         history = ${appendHistory('o.history', 'o.compensation_attempts', '$3::text')}
       WHERE id = $1 AND claim_token = $2 AND status = 'dead' RETURNING id`,
      [id, token, `compensation failed: ${reason}`, delayMs],
    );
    return rows.length === 1;
  }

  /**
   * Walks the primary key from its oldest end: ids are UUIDv7, so they are in the order of their age, and no further index is
   * needed. Rows that are not prunable are few (unfinished and dead ones) and are passed over from `afterId` on.
   */
  async prune(
    olderThanHours: number,
    limit: number,
    afterId = '00000000-0000-0000-0000-000000000000',
  ): Promise<readonly string[]> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `WITH ended AS MATERIALIZED (
           SELECT id FROM ${this.table}
           WHERE id > $3 AND due_at IS NULL AND status IN ('consumed', 'published')
             AND ended_at < statement_timestamp() - $1::float8 * interval '1 hour'
             AND id < (lpad(to_hex(floor(extract(epoch FROM statement_timestamp() - $1::float8 * interval '1 hour') * 1000)::bigint), 12, '0')
                       || repeat('0', 20))::uuid
           ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         DELETE FROM ${this.table} AS o USING ended WHERE o.id = ended.id RETURNING o.id`,
      [olderThanHours, limit, afterId],
    );
    return rows.map((row) => row.id).sort();
  }
}

interface ClaimedRow {
  id: string;
  type: string;
  version: number;
  payload: string;
  headers: Record<string, string | number | boolean> | null;
  consumers: string[];
  confirm: boolean;
  attempts: number;
  compensation_attempts: number;
  redrives: number;
  published_before: boolean;
  outcomes: Record<string, StoredOutcome>;
  reason: string | null;
  due_at: string;
  overdue_ms: string;
}

interface AppliedRow {
  id: string;
  type: string;
  status_before: OutboxStatus;
  status: OutboxStatus;
  reason: string | null;
}

function toClaimedEvent(row: ClaimedRow): ClaimedEvent {
  return {
    id: row.id,
    type: row.type,
    version: row.version,
    payload: row.payload,
    headers: row.headers,
    consumers: row.consumers,
    confirm: row.confirm,
    attempts: row.attempts,
    compensationAttempts: row.compensation_attempts,
    redrives: row.redrives,
    publishedBefore: row.published_before,
    outcomes: row.outcomes,
    reason: row.reason,
    dueAt: row.due_at,
    overdueMs: Number(row.overdue_ms),
  };
}
