import type { DataSource, EntityManager } from 'typeorm';
import { appendHistory, placeObject } from './append-history';
import { named, type NamedStatement } from './prepared-statements';
import { queryAlone, queryIn, utcText } from './sql';
import { sqlNamesOf } from './sql-names';
import { describeError } from '../../event/errors';
import { inParts } from '../in-parts';
import { isDatabaseUnavailable, isTransient, sqlState } from './database-errors';
import { storableIn } from './storable-texts';
import type { OutboxStatus, StoredOutcome } from '../../outbox/outbox.entity';
import type {
  AppliedReceipt,
  AppliedReceipts,
  Claim,
  ClaimableStatus,
  ClaimedEvent,
  ClaimLimit,
  DueRange,
  NewOutboxEvent,
  OutboxStore,
  PublishSettlement,
  Receipt,
  RefusedReceipt,
  Unsettled,
} from '../../outbox/outbox.store';

/** A consumer's own next attempt needs this long to be reported before the chase asks again. */
const RETRY_GRACE_MS = 5000;
const MAX_REASON_LENGTH = 2000;
/** Of one statement: the protocol allows 65,535 values. */
const MAX_INSERTED_ROWS = 1000;
/** Of one inserted row, beside the lease and the token. */
const ROW_VALUES = 9;
/** At most, of what `pg_column_size` says of a text: so it is no more than the text's own bytes. */
const HEADER_BYTES = 4;
const MS = "interval '1 millisecond'";
/**
 * PostgreSQL 13 and later. `statement_timestamp()` stands where an index serves the comparison (it is stable;
 * `clock_timestamp()` is volatile and cannot bound an index scan).
 *
 * Locks: whatever waits for rows locks them in the order of their ids, so that statements over the same rows wait for each
 * other instead of deadlocking; claim and prune wait for nobody (SKIP LOCKED). A compensation handler's transaction holds
 * its dead row for as long as the handler runs: nothing here waits for a dead row.
 */
export class PostgresOutboxStore implements OutboxStore {
  private insertOneOnce: NamedStatement | undefined;

  /** @param onMissing is called when a row is not there that was committed and not pruned */
  constructor(
    private readonly dataSource: DataSource,
    private readonly onMissing: () => void = () => undefined,
  ) {}

  /** Not before the first statement: where the table is, is found at boot. */
  private get table(): string {
    return sqlNamesOf(this.dataSource).outbox;
  }

  private get insertOne(): NamedStatement {
    return (this.insertOneOnce ??= named(this.insertText(1)));
  }

  async insert(
    manager: EntityManager,
    events: readonly NewOutboxEvent[],
    token: string,
    leaseMs: number,
  ): Promise<void> {
    for (let from = 0; from < events.length; from += MAX_INSERTED_ROWS) {
      const some = events.slice(from, from + MAX_INSERTED_ROWS);
      const values: unknown[] = [leaseMs, token];
      for (const event of some) pushValues(values, event);
      await queryIn(manager, some.length === 1 ? this.insertOne : this.insertText(some.length), values);
    }
  }

  private insertText(count: number): string {
    const rows = Array.from({ length: count }, (_, row) => insertedRow(3 + row * ROW_VALUES));
    return `INSERT INTO ${this.table}
         (due_at, claim_token, status, attempts, id, type, version, payload, headers, consumers, confirm, event_key, causation_id)
       VALUES ${rows.join(', ')}`;
  }

  async existing(ids: readonly string[], token: string): Promise<ReadonlySet<string>> {
    const rows = await queryAlone<{ id: string }>(
      this.dataSource,
      `SELECT id FROM ${this.table} WHERE id = ANY($1::uuid[]) AND claim_token = $2`,
      [ids, token],
    );
    return new Set(rows.map((row) => row.id));
  }

  /**
   * Index reliable_mq_outbox_due (status, due_at): an equality, a range and its order, so the scan stops at the limit.
   *
   * In two steps, since large payloads are stored outside of their rows, compressed: rows are claimed by what their payloads take there,
   * which the row itself tells; then payloads are read, as many as fit as text. What does not is given back.
   */
  async claim(
    status: ClaimableStatus,
    limit: ClaimLimit,
    leaseMs: number,
    token: string,
    range?: DueRange,
  ): Promise<Claim> {
    const counter = status === 'dead' ? 'compensation_attempts' : 'attempts';
    const rows = await queryAlone<ClaimedRow>(
      this.dataSource,
      `WITH found AS MATERIALIZED (
           SELECT id, due_at, pg_column_size(payload) - ${HEADER_BYTES} AS bytes FROM ${this.table}
           WHERE status = $1 AND due_at <= statement_timestamp()
             AND due_at >= coalesce($5::timestamptz, statement_timestamp() - $6::float8 * ${MS}, '-infinity')
           ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ), taken AS (
           SELECT id, due_at FROM (SELECT id, due_at, ${bytesBefore('bytes', 'due_at, id')} AS bytes_before FROM found) AS sized
           WHERE bytes_before < $7
         )
         UPDATE ${this.table} AS o
         SET due_at = clock_timestamp() + $3::float8 * ${MS}, claim_token = $4, ${counter} = o.${counter} + 1
         FROM taken WHERE o.id = taken.id
         RETURNING o.id, o.type, o.version, o.headers, o.consumers, o.confirm, o.event_key, o.causation_id, o.attempts,
           o.compensation_attempts, o.redrives, extract(epoch FROM statement_timestamp() - o.published_at) * 1000 AS published_ago_ms, o.outcomes, o.reason,
           ${utcText('taken.due_at')} AS due_at, extract(epoch FROM statement_timestamp() - taken.due_at) * 1000 AS overdue_ms,
           (SELECT count(*)::int FROM found) AS found`,
      [status, limit.rows, leaseMs, token, ...boundsOf(range), limit.bytes],
    );
    if (rows.length === 0) return { events: [], lastDueAt: undefined, isFull: false };
    rows.sort((a, b) => (a.due_at < b.due_at ? -1 : 1));
    const payloads = await this.payloads(rows, limit.bytes);
    const unread = rows.filter(({ id }) => !payloads.has(id));
    if (unread.length > 0) await this.giveBack(unread, counter, token);
    const kept = rows.filter(({ id }) => payloads.has(id));
    const events = kept.map((row) => toClaimedEvent(row, payloads.get(row.id) ?? ''));
    const found = rows[0]?.found ?? 0;
    return {
      events: events.sort((a, b) => (a.id < b.id ? -1 : 1)),
      lastDueAt: kept.at(-1)?.due_at,
      isFull: found >= limit.rows || found > events.length,
    };
  }

  /** By primary key: of the first of these rows, as many as fit. */
  private async payloads(
    rows: readonly { readonly id: string }[],
    maxBytes: number,
  ): Promise<ReadonlyMap<string, string>> {
    const read = await queryAlone<{ id: string; payload: string }>(
      this.dataSource,
      `SELECT id, payload FROM (
           SELECT id, payload, ${bytesBefore('octet_length(payload)', 'n')} AS bytes_before FROM (
             SELECT o.id, o.payload::text AS payload, t.n FROM unnest($1::uuid[]) WITH ORDINALITY AS t (id, n)
             JOIN ${this.table} AS o ON o.id = t.id
           ) AS texts
         ) AS sized WHERE bytes_before < $2`,
      [rows.map(({ id }) => id), maxBytes],
    );
    return new Map(read.map(({ id, payload }) => [id, payload]));
  }

  /** By primary key: due as before the claim, whose attempt was none. */
  private async giveBack(rows: readonly ClaimedRow[], counter: string, token: string): Promise<void> {
    await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} AS o SET due_at = t.due_at, claim_token = NULL, ${counter} = o.${counter} - 1
       FROM unnest($1::uuid[], $2::timestamptz[]) AS t (id, due_at) WHERE o.id = t.id AND o.claim_token = $3`,
      [rows.map(({ id }) => id), rows.map(({ due_at }) => due_at), token],
    );
  }

  /**
   * By primary key. `locked` takes the rows' newest versions, and all that follows is decided on those: also what a concurrent
   * statement has changed while this one waited for it. A consumer that retries may have moved `due_at` beyond the lease
   * before the outcome of publishing came: it is not moved back.
   */
  async settle(settlements: readonly PublishSettlement[]): Promise<readonly Unsettled[]> {
    const rows = await queryAlone<{ id: string; token: string; because: Unsettled['because'] }>(
      this.dataSource,
      `WITH outcome AS (
           SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::text[])
             WITH ORDINALITY AS t (id, token, result, delay_ms, reason, n)
         ), locked AS MATERIALIZED (
           SELECT t.*, o.claim_token IS NOT DISTINCT FROM t.token AS won FROM ${this.table} AS o JOIN outcome AS t ON o.id = t.id
           WHERE o.status IN ('pending', 'published')
           ORDER BY o.id FOR UPDATE OF o
         ), settled AS (
           UPDATE ${this.table} AS o SET
             status = CASE l.result WHEN 'published' THEN 'published' WHEN 'dead' THEN 'dead'
                                    WHEN 'retry' THEN 'pending' ELSE o.status END,
             attempts = CASE l.result WHEN 'postponed' THEN greatest(o.attempts - 1, 0) ELSE greatest(o.attempts, 1) END,
             due_at = CASE WHEN l.result = 'published' AND NOT o.confirm THEN NULL
                           WHEN l.result = 'published' AND o.outcomes <> '{}' AND o.outcomes @? '$.* ? (@.outcome == "retrying")'
                             THEN greatest(o.due_at, clock_timestamp() + l.delay_ms * ${MS})
                           ELSE clock_timestamp() + l.delay_ms * ${MS} END,
             published_at = CASE l.result WHEN 'published' THEN clock_timestamp() ELSE o.published_at END,
             ended_at = CASE WHEN l.result = 'dead' OR (l.result = 'published' AND NOT o.confirm) THEN clock_timestamp() END,
             reason = CASE l.result WHEN 'published' THEN NULL ELSE coalesce(l.reason, o.reason) END,
             history = CASE WHEN l.result IN ('retry', 'dead')
                            THEN ${appendHistory('o.history', 'greatest(o.attempts, 1)', 'l.reason')} ELSE o.history END,
             claim_token = NULL
           FROM locked AS l WHERE o.id = l.id AND l.won
         )
         SELECT t.id, t.token, CASE WHEN l.n IS NOT NULL THEN 'claim-lost'
             WHEN EXISTS (SELECT FROM ${this.table} AS o WHERE o.id = t.id) THEN 'ended' ELSE 'missing' END AS because
         FROM outcome AS t LEFT JOIN locked AS l ON l.n = t.n
         WHERE l.won IS NOT TRUE ORDER BY t.n`,
      [
        settlements.map((s) => s.id),
        settlements.map((s) => s.token),
        settlements.map((s) => s.result),
        settlements.map((s) => s.delayMs),
        settlements.map(({ reason }) => this.storable(reason, MAX_REASON_LENGTH)),
      ],
    );
    if (rows.some(({ because }) => because === 'missing')) this.onMissing();
    return rows;
  }

  private storable(text: string | null, maxLength?: number): string | null {
    return text === null ? null : storableIn(this.dataSource, text, maxLength);
  }

  /**
   * By primary key. `handled` is never overwritten, and `retrying` never overwrites a final outcome: receipts may arrive in any
   * order. Only declared consumers decide, where there are any. An ended event keeps its status; the outcome is kept beside it.
   * What a receipt finds pending is due from now on as published: a scan for such rows may have passed the old moment.
   */
  async applyReceipts(receipts: readonly Receipt[], keptHours?: number): Promise<AppliedReceipts> {
    const refused: RefusedReceipt[] = [];
    const rows = await inParts(
      receipts,
      (some) => this.applyAll(some, keptHours),
      isRefused,
      (receipt, error) => refused.push({ ...receipt, because: describeError(error) }),
    );
    const all = rows.flat();
    const unknown = all.flatMap(({ id, found }) => (found === 'nothing' ? [id] : []));
    if (unknown.length > 0) this.onMissing();
    return {
      applied: all.flatMap((row) => (row.found === 'applied' ? [toAppliedReceipt(row)] : [])),
      busy: all.flatMap(({ id, found }) => (found === 'busy' ? [id] : [])),
      unknown,
      refused,
    };
  }

  private applyAll(receipts: readonly Receipt[], keptHours: number | undefined): Promise<AppliedRow[]> {
    return queryAlone<AppliedRow>(
      this.dataSource,
      `WITH receipt AS (
           SELECT *, array_position(ARRAY['retrying', 'rejected', 'dead', 'handled'], outcome) AS strength
           FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::int[], $8::text[])
             AS t (id, consumer, outcome, reason, retry_ms, redrives, place)
         ), open AS MATERIALIZED (
           SELECT id, status, consumers, outcomes, redrives FROM ${this.table}
           WHERE id = ANY($1::uuid[]) AND confirm AND status <> 'dead' ORDER BY id FOR UPDATE
         ), dead AS MATERIALIZED (
           SELECT id, status, consumers, outcomes, redrives FROM ${this.table}
           WHERE id = ANY($1::uuid[]) AND confirm AND status = 'dead' ORDER BY id FOR UPDATE SKIP LOCKED
         ), locked AS (
           SELECT * FROM open UNION ALL SELECT * FROM dead
         ), news AS (
           SELECT r.* FROM receipt AS r JOIN locked AS l ON l.id = r.id, coalesce(l.outcomes -> r.consumer ->> 'outcome', '') AS known
           WHERE known <> 'handled' AND NOT (r.outcome = 'retrying' AND known IN ('rejected', 'dead'))
             AND (r.outcome = 'handled' OR r.redrives >= l.redrives)
         ), merged AS (
           SELECT l.id, l.status, l.consumers,
             l.outcomes || coalesce(jsonb_object_agg(n.consumer, jsonb_build_object(
               'outcome', n.outcome, 'reason', n.reason, 'at', statement_timestamp()
             ) || ${placeObject('n.place')} ORDER BY n.strength) FILTER (WHERE n.id IS NOT NULL), '{}') AS outcomes,
             max(n.retry_ms) FILTER (WHERE n.outcome = 'retrying' AND (l.consumers = '[]'::jsonb OR l.consumers ? n.consumer)) AS retry_ms,
             array_agg(n.consumer) FILTER (WHERE n.outcome IS DISTINCT FROM l.outcomes -> n.consumer ->> 'outcome') AS changed
           FROM locked AS l LEFT JOIN news AS n ON n.id = l.id
           GROUP BY l.id, l.status, l.consumers, l.outcomes
         ), judged AS (
           SELECT m.*, verdict.complete, verdict.failure, verdict.all_reported
           FROM merged AS m, LATERAL (
             SELECT
               CASE WHEN m.consumers = '[]'::jsonb THEN bool_or(e.value ->> 'outcome' = 'handled')
                    ELSE count(*) FILTER (WHERE m.consumers ? e.key AND e.value ->> 'outcome' = 'handled') = jsonb_array_length(m.consumers) END AS complete,
               m.consumers = '[]'::jsonb OR count(*) FILTER (WHERE m.consumers ? e.key) = jsonb_array_length(m.consumers) AS all_reported,
               min(e.key || ' ' || (e.value ->> 'outcome') || ': ' || coalesce(e.value ->> 'reason', 'no reason given'))
                 FILTER (WHERE e.value ->> 'outcome' IN ('rejected', 'dead') AND (m.consumers = '[]'::jsonb OR m.consumers ? e.key)) AS failure
             FROM jsonb_each(m.outcomes) AS e
           ) AS verdict
         ), decided AS (
           SELECT j.*, CASE WHEN j.status IN ('consumed', 'dead') THEN j.status
                            WHEN j.complete THEN 'consumed' WHEN j.failure IS NOT NULL THEN 'dead' ELSE 'published' END AS next_status
           FROM judged AS j
         ), applied AS (
           UPDATE ${this.table} AS o SET
             outcomes = d.outcomes,
             status = d.next_status,
             attempts = greatest(o.attempts, 1),
             due_at = CASE WHEN d.status IN ('consumed', 'dead') THEN o.due_at
                           WHEN d.next_status = 'consumed' THEN NULL
                           WHEN d.next_status = 'dead' THEN clock_timestamp()
                           WHEN d.retry_ms IS NOT NULL AND d.all_reported
                             THEN greatest(o.due_at, clock_timestamp() + (d.retry_ms + ${RETRY_GRACE_MS}) * ${MS})
                           WHEN d.status = 'pending' THEN greatest(o.due_at, clock_timestamp())
                           ELSE o.due_at END,
             published_at = coalesce(o.published_at, clock_timestamp()),
             ended_at = CASE WHEN d.next_status IN ('consumed', 'dead') THEN coalesce(o.ended_at, clock_timestamp()) END,
             reason = CASE WHEN d.status IN ('consumed', 'dead') THEN o.reason WHEN d.next_status = 'dead' THEN d.failure END,
             claim_token = CASE WHEN d.next_status IN ('consumed', 'dead') AND d.next_status <> d.status THEN NULL ELSE o.claim_token END
           FROM decided AS d WHERE o.id = d.id
           RETURNING o.id, o.type, d.status AS status_before, o.status, o.reason, d.changed,
             CASE WHEN d.consumers <> '[]'::jsonb AND NOT d.consumers ?& d.changed THEN d.consumers END AS declared
         )
         SELECT 'applied' AS found, id, type, status_before, status, reason, changed, declared FROM applied
         UNION ALL
         SELECT 'busy', o.id, o.type, o.status, o.status, NULL, NULL, NULL FROM ${this.table} AS o
         WHERE o.id = ANY($1::uuid[]) AND o.confirm AND NOT EXISTS (SELECT FROM locked AS l WHERE l.id = o.id)
         UNION ALL
         SELECT DISTINCT 'nothing', r.id, NULL, NULL, NULL, NULL, NULL::text[], NULL::jsonb FROM receipt AS r
         WHERE NOT EXISTS (SELECT FROM ${this.table} AS o WHERE o.id = r.id) AND ($7::float8 IS NULL OR r.id > ${oldestIdWithin('$7')})`,
      [
        receipts.map((r) => r.eventId),
        receipts.map((r) => this.storable(r.consumer)),
        receipts.map((r) => r.outcome),
        receipts.map((r) => this.storable(r.reason)),
        receipts.map((r) => r.retryAfterMs),
        receipts.map((r) => r.redrives),
        keptHours ?? null,
        receipts.map(({ where }) => this.storable(where ?? null)),
      ],
    );
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
         due_at = clock_timestamp() + $4::float8 * ${MS}, claim_token = NULL,
         history = ${appendHistory('o.history', 'o.compensation_attempts', '$3::text')}
       WHERE id = $1 AND claim_token = $2 AND status = 'dead' RETURNING id`,
      [id, token, this.storable(`compensation failed: ${reason}`), delayMs],
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
             AND id < ${oldestIdWithin('$1')}
           ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         DELETE FROM ${this.table} WHERE id = ANY (ARRAY(SELECT id FROM ended)) RETURNING id`,
      [olderThanHours, limit, afterId],
    );
    return rows.map((row) => row.id).sort();
  }
}

/** A column: the bytes of the rows that stand before a row in this order. */
function bytesBefore(bytes: string, order: string): string {
  return `sum(${bytes}) OVER (ORDER BY ${order}) - ${bytes}`;
}

/** The smallest id of an event that was recorded within so many hours: ids begin with their moment, in milliseconds. */
function oldestIdWithin(hours: string): string {
  return `(lpad(to_hex(floor(extract(epoch FROM statement_timestamp() - ${hours}::float8 * interval '1 hour') * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid`;
}

/** Because of what is in it, and not of the moment. */
function isRefused(error: unknown): boolean {
  return sqlState(error) !== undefined && !isDatabaseUnavailable(error) && !isTransient(error);
}

function boundsOf(range: DueRange | undefined): [dueFrom: string | null, dueWithinMs: number | null] {
  if (range === undefined) return [null, null];
  return 'dueFrom' in range ? [range.dueFrom, null] : [null, range.dueWithinMs];
}

/** Placeholders of one new row; the lease and the token are $1 and $2 of all. */
function insertedRow(first: number): string {
  const own = Array.from({ length: ROW_VALUES }, (_, index) => `$${first + index}`).join(', ');
  return `(clock_timestamp() + $1::float8 * ${MS}, $2, 'pending', 0, ${own})`;
}

function pushValues(values: unknown[], event: NewOutboxEvent): void {
  const { id, type, version, payload, headers, consumers, confirm, key, causationId } = event;
  const ofHeaders = headers && JSON.stringify(headers);
  values.push(id, type, version, payload, ofHeaders, JSON.stringify(consumers), confirm, key, causationId);
}

interface ClaimedRow {
  id: string;
  type: string;
  version: number;
  headers: Record<string, string | number | boolean> | null;
  consumers: string[];
  confirm: boolean;
  event_key: string | null;
  causation_id: string | null;
  attempts: number;
  compensation_attempts: number;
  redrives: number;
  published_ago_ms: string | null;
  outcomes: Record<string, StoredOutcome>;
  reason: string | null;
  due_at: string;
  overdue_ms: string;
  /** Rows of this claim, and those that were left for their size. */
  found: number;
}

/** `busy` and `nothing`: the rest says nothing. */
interface AppliedRow {
  found: 'applied' | 'busy' | 'nothing';
  id: string;
  type: string;
  status_before: OutboxStatus;
  status: OutboxStatus;
  reason: string | null;
  changed: string[] | null;
  declared: string[] | null;
}

function toAppliedReceipt(row: AppliedRow): AppliedReceipt {
  return {
    eventId: row.id,
    type: row.type,
    statusBefore: row.status_before,
    status: row.status,
    reason: row.reason,
    changed: row.changed ?? [],
    declared: row.declared ?? undefined,
  };
}

function toClaimedEvent(row: ClaimedRow, payload: string): ClaimedEvent {
  return {
    id: row.id,
    type: row.type,
    version: row.version,
    payload,
    headers: row.headers,
    consumers: row.consumers,
    confirm: row.confirm,
    key: row.event_key,
    causationId: row.causation_id,
    attempts: row.attempts,
    compensationAttempts: row.compensation_attempts,
    redrives: row.redrives,
    publishedAgoMs: row.published_ago_ms === null ? null : Number(row.published_ago_ms),
    outcomes: row.outcomes,
    reason: row.reason,
    overdueMs: Number(row.overdue_ms),
  };
}
