import type { DataSource, EntityManager } from 'typeorm';
import { storableJson } from '../../event/storable';
import { appendHistory, attemptRecord } from './append-history';
import { idleLimitToSet } from './idle-limit';
import { named, type NamedStatement } from './prepared-statements';
import { lockTimeout, queryAlone, queryIn, queryWaiting, utcText } from './sql';
import { sqlNamesOf } from './sql-names';
import { storableIn } from './storable-texts';
import { type ClaimedTableRow, failureColumns, placeOf, toClaimedInboxRow } from '../inbox-rows';
import type { AttemptRecord } from '../../event/outcome';
import type { InboxStatus } from '../../inbox/inbox.entity';
import {
  type ClaimableQueue,
  type ClaimedInboxRow,
  type IdentifiedMessage,
  type InboxClaim,
  type InboxFailure,
  type InboxKey,
  type InboxMessage,
  type InboxRow,
  type InboxStore,
  type MessageIdentity,
  type Pruned,
  type StartCounts,
  SUSPECT_STARTS,
} from '../../inbox/inbox.store';

const MS = "interval '1 millisecond'";
/** A claim that took longer than this to get has used up a part of its lease, and is given a whole one, in milliseconds. */
const LEASE_RENEWED_AFTER_MS = 1000;

/** PostgreSQL 13 and later. */
export class PostgresInboxStore implements InboxStore {
  private onceNamed: HandlingStatements | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** Not before the first statement: where the table is, is found at boot. */
  private get table(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  private get named(): HandlingStatements {
    return (this.onceNamed ??= handlingStatements(this.table));
  }

  private storable(text: string): string {
    return storableIn(this.dataSource, text);
  }

  private storablePlace({ where }: InboxFailure): string | null {
    return where === undefined ? null : this.storable(where);
  }

  private messageColumns(key: InboxKey, message: InboxMessage): unknown[] {
    const { version, redrives, bodyHash, body, properties } = message;
    const kept = this.storable(storableJson(properties));
    return [...columnsOf(key), version, redrives, bodyHash, message.key, body, kept];
  }

  async insertHandled(
    manager: EntityManager,
    key: InboxKey,
    message: MessageIdentity,
    idleLimitMs: number,
  ): Promise<boolean> {
    const rows = await queryIn(manager, this.named.insertOne, [
      ...columnsOf(key),
      message.version,
      message.redrives,
      message.bodyHash,
      message.key,
      idleLimitToSet(this.dataSource, idleLimitMs),
    ]);
    return rows.length === 1;
  }

  async insertHandledAll(
    manager: EntityManager,
    { consumer, type }: Pick<InboxKey, 'consumer' | 'type'>,
    messages: readonly IdentifiedMessage[],
  ): Promise<ReadonlySet<string>> {
    const values = messages.map(({ eventId, stored: { version, redrives, bodyHash, key } }) => ({
      event_id: eventId,
      version,
      redrives,
      body_hash: bodyHash?.toString('hex') ?? null,
      event_key: key,
    }));
    const rows = await queryIn<{ event_id: string }>(manager, this.named.insertAll, [
      consumer,
      type,
      JSON.stringify(values),
    ]);
    return new Set(rows.map(({ event_id }) => event_id));
  }

  async find(key: InboxKey): Promise<InboxRow | undefined> {
    const [row] = await queryAlone<{
      status: InboxStatus;
      attempts: number;
      redrives: number;
      reason: string | null;
      body_hash: Buffer | null;
      due_in_ms: string | null;
      last_attempt: AttemptRecord | null;
    }>(
      this.dataSource,
      `SELECT status, attempts, redrives, reason, body_hash, extract(epoch FROM due_at - clock_timestamp()) * 1000 AS due_in_ms,
         history -> -1 AS last_attempt FROM ${this.table} WHERE ${KEY}`,
      columnsOf(key),
    );
    if (!row) return undefined;
    return {
      status: row.status,
      attempts: row.attempts,
      redrives: row.redrives,
      reason: row.reason,
      ...placeOf(row),
      bodyHash: row.body_hash,
      dueInMs: row.due_in_ms === null ? null : Number(row.due_in_ms),
    };
  }

  async adopt(key: InboxKey, message: InboxMessage, claim: InboxClaim, unfinishedStarts: number): Promise<boolean> {
    const beganAtMs = performance.now();
    const rows = await queryWaiting(
      this.dataSource,
      `INSERT INTO ${this.table} (${MESSAGE}, status, attempts, unfinished_starts, due_at, claim_token, reason)
       SELECT ${MESSAGE_VALUES}, 'failed', 1, $10::int, clock_timestamp() + $11::float8 * ${MS}, $12::uuid, 'started, not finished'
       FROM ${lockTimeout('$13')} ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`,
      [...this.messageColumns(key, message), unfinishedStarts, claim.leaseMs, claim.token, claim.leaseMs],
      claim.leaseMs,
    );
    if (rows.length === 1 && performance.now() - beganAtMs < LEASE_RENEWED_AFTER_MS) return true;
    // The lease was reckoned before the statement waited for another transaction, which may have used it up. And the row that is
    // in the way may be this claim's own: of an earlier call whose answer was lost.
    return this.start(key, claim, { attempts: 1, unfinishedStarts });
  }

  async insertFailure(key: InboxKey, message: InboxMessage, failure: InboxFailure, waitMs: number): Promise<boolean> {
    const { status, delayMs, counts } = failureColumns(failure);
    const rows = await queryWaiting(
      this.dataSource,
      `INSERT INTO ${this.table} (${MESSAGE}, status, attempts, due_at, ended_at, reason, history)
       SELECT ${MESSAGE_VALUES}, $10, CASE WHEN $13::boolean THEN 1 ELSE 0 END, clock_timestamp() + $11::float8 * ${MS},
         CASE WHEN $11::float8 IS NULL THEN clock_timestamp() END, $12::text,
         CASE WHEN $13::boolean
           THEN jsonb_build_array(${attemptRecord('1', '$12::text', '$15::text')}) ELSE '[]' END
       FROM ${lockTimeout('$14')} ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`,
      [
        ...this.messageColumns(key, message),
        status,
        delayMs,
        this.storable(failure.reason),
        counts,
        waitMs,
        this.storablePlace(failure),
      ],
      waitMs,
    );
    return rows.length === 1;
  }

  async park(key: InboxKey, message: InboxMessage, reason: string): Promise<boolean> {
    const [row] = await queryAlone<{ is_new: boolean }>(
      this.dataSource,
      `INSERT INTO ${this.table} AS i (${MESSAGE}, status, attempts, ended_at, reason)
       SELECT ${MESSAGE_VALUES}, 'rejected', 0, clock_timestamp(), $10
       ON CONFLICT (event_id, consumer, type) DO UPDATE SET status = 'rejected', ended_at = excluded.ended_at, reason = excluded.reason,
         properties = excluded.properties WHERE i.status IN ('rejected', 'dead')
       RETURNING xmax = 0 AS is_new`,
      [...this.messageColumns(key, message), this.storable(reason)],
    );
    return row?.is_new ?? false;
  }

  async unpark(key: InboxKey): Promise<void> {
    await queryAlone(
      this.dataSource,
      `DELETE FROM ${this.table} WHERE ${KEY} AND status IN ('rejected', 'dead')`,
      columnsOf(key),
    );
  }

  /** For each queue a few entries of reliable_mq_inbox_due (only unfinished rows are in it), or of reliable_mq_inbox_suspects. */
  async claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]> {
    const rows = await queryAlone<ClaimedRow>(
      this.dataSource,
      `WITH due AS MATERIALIZED (
         SELECT each.*, q.lease_ms FROM ${QUEUES} CROSS JOIN LATERAL (
           SELECT i.event_id, i.consumer, i.type, i.due_at FROM ${this.table} AS i
           WHERE ${DUE} AND i.unfinished_starts ${which === 'suspects' ? '>=' : '<'} ${SUSPECT_STARTS}
           ORDER BY i.due_at LIMIT q.at_most FOR UPDATE OF i SKIP LOCKED
         ) AS each ORDER BY each.due_at LIMIT $2
       )
       UPDATE ${this.table} AS i SET due_at = clock_timestamp() + due.lease_ms * ${MS}, claim_token = $3
       FROM due WHERE i.event_id = due.event_id AND i.consumer = due.consumer AND i.type = due.type
       RETURNING ${CLAIMED}, extract(epoch FROM statement_timestamp() - due.due_at) * 1000 AS overdue_ms`,
      [queuesAsJson(queues), limit, token],
    );
    return rows.map((row) => toClaimedInboxRow(row, Number(row.overdue_ms))).sort((a, b) => b.overdueMs - a.overdueMs);
  }

  /** Index reliable_mq_inbox_suspects. */
  async queuesWithSuspects(queues: readonly ClaimableQueue[]): Promise<readonly Pick<InboxKey, 'consumer' | 'type'>[]> {
    return queryAlone(
      this.dataSource,
      `SELECT DISTINCT i.consumer, i.type FROM ${this.table} AS i JOIN ${QUEUES} ON true
       WHERE ${DUE} AND i.unfinished_starts >= ${SUSPECT_STARTS}`,
      [queuesAsJson(queues)],
    );
  }

  async start(key: InboxKey, { token, leaseMs }: InboxClaim, begun: StartCounts): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} SET status = 'failed', due_at = clock_timestamp() + $5::float8 * ${MS}, attempts = $6, unfinished_starts = $7
       WHERE ${KEY} AND claim_token = $4 RETURNING 1`,
      [...columnsOf(key), token, leaseMs, begun.attempts, begun.unfinishedStarts],
    );
    return rows.length === 1;
  }

  async claimAnew(
    key: InboxKey,
    redrives: number,
    movedBack: boolean,
    claim: InboxClaim,
  ): Promise<ClaimedInboxRow | undefined> {
    const [row] = await queryAlone<ClaimedTableRow>(
      this.dataSource,
      `UPDATE ${this.table} AS i
       SET status = 'failed', due_at = clock_timestamp() + $6::float8 * ${MS}, claim_token = $7,
         attempts = 0, unfinished_starts = 0, redrives = greatest(i.redrives, $4), ended_at = NULL
       WHERE ${KEY} AND (redrives < $4 OR $5) AND status IN ('dead', 'rejected')
       RETURNING ${CLAIMED}`,
      [...columnsOf(key), redrives, movedBack, claim.leaseMs, claim.token],
    );
    return row && toClaimedInboxRow(row, 0);
  }

  async rename(key: InboxKey, token: string, eventId: string, bodyHash: Buffer | null): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} AS i SET event_id = $5, body_hash = $6
       WHERE ${KEY} AND claim_token = $4
         AND NOT EXISTS (SELECT FROM ${this.table} WHERE event_id = $5 AND consumer = $2 AND type = $3) RETURNING 1`,
      [...columnsOf(key), token, eventId, bodyHash],
    );
    return rows.length === 1;
  }

  async settleHandled(manager: EntityManager, key: InboxKey, token: string): Promise<boolean> {
    const rows = await queryIn(manager, this.named.settle, [...columnsOf(key), token]);
    return rows.length === 1;
  }

  async settleFailed(key: InboxKey, token: string, failure: InboxFailure): Promise<boolean> {
    const { status, delayMs, counts } = failureColumns(failure);
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} AS i SET status = $5, due_at = clock_timestamp() + $6::float8 * ${MS},
         ended_at = CASE WHEN $6::float8 IS NULL THEN clock_timestamp() END, claim_token = NULL, unfinished_starts = 0, reason = $7,
         history = CASE WHEN $8 THEN ${appendHistory('i.history', 'i.attempts', '$7::text', '$9::text')} ELSE i.history END
       WHERE ${KEY} AND claim_token = $4 RETURNING 1`,
      [...columnsOf(key), token, status, delayMs, this.storable(failure.reason), counts, this.storablePlace(failure)],
    );
    return rows.length === 1;
  }

  async release(key: InboxKey, token: string, before: StartCounts): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} SET due_at = clock_timestamp(), claim_token = NULL, attempts = $5, unfinished_starts = $6
       WHERE ${KEY} AND claim_token = $4 RETURNING 1`,
      [...columnsOf(key), token, before.attempts, before.unfinishedStarts],
    );
    return rows.length === 1;
  }

  /** Index reliable_mq_inbox_waiting. */
  async wakeWaiting(queues: readonly ClaimableQueue[], limit: number): Promise<number> {
    const rows = await queryAlone(
      this.dataSource,
      `WITH waiting AS MATERIALIZED (
         SELECT i.event_id, i.consumer, i.type FROM ${this.table} AS i
         JOIN ${QUEUES} ON i.consumer = q.consumer AND i.type = q.type AND i.version = ANY (q.versions)
         WHERE i.status = 'waiting' AND i.due_at > statement_timestamp() AND i.claim_token IS NULL
         LIMIT $2 FOR UPDATE OF i SKIP LOCKED
       )
       UPDATE ${this.table} AS i SET due_at = statement_timestamp() FROM waiting AS w
       WHERE i.event_id = w.event_id AND i.consumer = w.consumer AND i.type = w.type RETURNING 1`,
      [queuesAsJson(queues), limit],
    );
    return rows.length;
  }

  /** Index reliable_mq_inbox_ended. */
  async prune(olderThanHours: number, limit: number, endedFrom?: string): Promise<Pruned> {
    const [row] = await queryAlone<{ count: number; last_ended_at: string | null }>(
      this.dataSource,
      `WITH ended AS MATERIALIZED (
         SELECT event_id, consumer, type FROM ${this.table}
         WHERE ended_at < statement_timestamp() - $1::float8 * interval '1 hour' AND ended_at >= coalesce($3::timestamptz, '-infinity')
         ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
       ), deleted AS (
         DELETE FROM ${this.table} AS i USING ended
         WHERE i.event_id = ended.event_id AND i.consumer = ended.consumer AND i.type = ended.type RETURNING i.ended_at
       )
       SELECT count(*)::int AS count, ${utcText('max(ended_at)')} AS last_ended_at FROM deleted`,
      [olderThanHours, limit, endedFrom ?? null],
    );
    return { count: row?.count ?? 0, lastEndedAt: row?.last_ended_at ?? undefined };
  }
}

/** What runs in handlers' transactions: prepared once, where the connection allows it. */
interface HandlingStatements {
  readonly insertOne: NamedStatement;
  readonly insertAll: NamedStatement;
  readonly settle: NamedStatement;
}

function handlingStatements(table: string): HandlingStatements {
  const into = `INSERT INTO ${table} (event_id, consumer, type, version, redrives, body_hash, event_key, status, attempts, ended_at)`;
  return {
    insertOne: named(`${into}
       SELECT $1, $2, $3, $4::int, $5::int, $6::bytea, $7, 'handled', 1, clock_timestamp()
       FROM (SELECT set_config('${IDLE_LIMIT}', coalesce($8, current_setting('${IDLE_LIMIT}')), true)) AS limited
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`),
    insertAll: named(`${into}
       SELECT event_id, $1, $2, version, redrives, decode(body_hash, 'hex'), event_key, 'handled', 1, clock_timestamp()
       FROM json_to_recordset($3::json) AS m (event_id text, version int, redrives int, body_hash text, event_key text) ORDER BY event_id
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING event_id`),
    settle: named(`UPDATE ${table} SET status = 'handled', due_at = NULL, claim_token = NULL, unfinished_starts = 0,
         ended_at = clock_timestamp(), body = NULL, properties = NULL, reason = NULL
       WHERE ${KEY} AND claim_token = $4 RETURNING 1`),
  };
}

const IDLE_LIMIT = 'idle_in_transaction_session_timeout';
/** The row of one handling: the primary key. */
const KEY = 'event_id = $1 AND consumer = $2 AND type = $3';
const MESSAGE = 'event_id, consumer, type, version, redrives, body_hash, event_key, body, properties';
const MESSAGE_VALUES = '$1, $2, $3, $4::int, $5::int, $6::bytea, $7, $8::bytea, $9::jsonb';

/** ClaimableQueue, from the first parameter. */
const QUEUES = `json_to_recordset($1::json) AS q (consumer text, type text, versions int[], lease_ms float8, wait_ms float8, at_most int)`;
/** A row of such a queue that is due, of a version that is handled here, or for which the wait is over. */
const DUE = `i.consumer = q.consumer AND i.type = q.type AND i.due_at <= statement_timestamp()
             AND (i.version = ANY (q.versions) OR i.received_at < statement_timestamp() - q.wait_ms * ${MS})`;

const CLAIMED = `i.event_id, i.consumer, i.type, i.version, i.attempts, i.unfinished_starts, i.body, i.body_hash, i.properties, i.redrives, i.event_key`;

function queuesAsJson(queues: readonly ClaimableQueue[]): string {
  return JSON.stringify(
    queues.map(({ consumer, type, versions, leaseMs, waitMs, limit }) => ({
      consumer,
      type,
      versions,
      lease_ms: leaseMs,
      wait_ms: waitMs,
      at_most: limit,
    })),
  );
}

function columnsOf({ eventId, consumer, type }: InboxKey): [eventId: string, consumer: string, type: string] {
  return [eventId, consumer, type];
}

interface ClaimedRow extends ClaimedTableRow {
  readonly overdue_ms: string;
}
