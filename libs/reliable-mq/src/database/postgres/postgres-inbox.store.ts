import type { DataSource, EntityManager } from 'typeorm';
import { storableJson } from '../../event/storable';
import { appendHistory } from './append-history';
import { named, type NamedStatement } from './prepared-statements';
import { lockTimeout, queryAlone, queryIn, queryWaiting, utcText } from './sql';
import { sqlNamesOf } from './sql-names';
import { storableIn } from './storable-texts';
import type { InboxStatus } from '../../inbox/inbox.entity';
import {
  type ClaimableQueue,
  type ClaimedInboxRow,
  type InboxClaim,
  type InboxFailure,
  type InboxKey,
  type InboxMessage,
  type InboxRow,
  type InboxStore,
  type Pruned,
  type SharedClaim,
  type SharedMessage,
  SUSPECT_STARTS,
} from '../../inbox/inbox.store';

const MS = "interval '1 millisecond'";
/** A claim that took longer than this to get has used up a part of its lease, and is given a whole one, in milliseconds. */
const LEASE_RENEWED_AFTER_MS = 1000;

/** PostgreSQL 13 and later. */
export class PostgresInboxStore implements InboxStore {
  private onceNamed: InboxStatements | undefined;

  constructor(private readonly dataSource: DataSource) {}

  /** Not before the first statement: where the table is, is found at boot. */
  private get table(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  private get named(): InboxStatements {
    return (this.onceNamed ??= inboxStatements(this.table));
  }

  private storable(text: string): string {
    return storableIn(this.dataSource, text);
  }

  async insertHandled(manager: EntityManager, key: InboxKey, message: InboxMessage): Promise<boolean> {
    const rows = await queryIn(manager, this.named.insertOne, [
      key.eventId,
      key.consumer,
      key.type,
      message.version,
      message.redrives,
    ]);
    return rows.length === 1;
  }

  async insertHandledAll(
    manager: EntityManager,
    { consumer, type }: Pick<InboxKey, 'consumer' | 'type'>,
    messages: readonly SharedMessage[],
  ): Promise<SharedClaim> {
    const values = messages.map(({ eventId, stored: { version, redrives } }) => ({
      event_id: eventId,
      version,
      redrives,
    }));
    const rows = await queryIn<{ event_id: string; transaction: string }>(manager, this.named.insertAll, [
      consumer,
      type,
      JSON.stringify(values),
    ]);
    return {
      consumer,
      type,
      eventIds: new Set(rows.map(({ event_id }) => event_id)),
      transaction: rows[0]?.transaction,
    };
  }

  async withdraw(manager: EntityManager, claim: SharedClaim, eventIds: readonly string[]): Promise<void> {
    await queryIn(manager, this.named.withdrawal, withdrawn(claim, eventIds));
  }

  async withdrawCommitted(claim: SharedClaim, eventIds: readonly string[]): Promise<void> {
    await queryAlone(this.dataSource, this.named.withdrawal.text, withdrawn(claim, eventIds));
  }

  async find(key: InboxKey): Promise<InboxRow | undefined> {
    const [row] = await queryAlone<{
      status: InboxStatus;
      attempts: number;
      redrives: number;
      reason: string | null;
      due_in_ms: string | null;
    }>(
      this.dataSource,
      `SELECT status, attempts, redrives, reason, extract(epoch FROM due_at - clock_timestamp()) * 1000 AS due_in_ms
       FROM ${this.table} WHERE event_id = $1 AND consumer = $2 AND type = $3`,
      [key.eventId, key.consumer, key.type],
    );
    if (!row) return undefined;
    return {
      status: row.status,
      attempts: row.attempts,
      redrives: row.redrives,
      reason: row.reason,
      dueInMs: row.due_in_ms === null ? null : Number(row.due_in_ms),
    };
  }

  async adopt(key: InboxKey, message: InboxMessage, claim: InboxClaim, unfinishedStarts: number): Promise<boolean> {
    const beganAtMs = performance.now();
    const rows = await queryWaiting(
      this.dataSource,
      `INSERT INTO ${this.table}
         (event_id, consumer, type, version, status, attempts, unfinished_starts, due_at, claim_token, reason, body, properties, redrives)
       SELECT $1, $2, $3, $4::int, 'failed', 1, $5::int, clock_timestamp() + $6::float8 * ${MS}, $7::uuid, 'started, not finished',
         $8::bytea, $9::jsonb, $10::int FROM ${lockTimeout('$11')}
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`,
      [
        key.eventId,
        key.consumer,
        key.type,
        message.version,
        unfinishedStarts,
        claim.leaseMs,
        claim.token,
        message.body,
        this.storable(storableJson(message.properties)),
        message.redrives,
        claim.leaseMs,
      ],
      claim.leaseMs,
    );
    if (rows.length === 1 && performance.now() - beganAtMs < LEASE_RENEWED_AFTER_MS) return true;
    // The lease was reckoned before the statement waited for another transaction, which may have used it up. And the row that is
    // in the way may be this claim's own: of an earlier call whose answer was lost.
    return this.renew(key, claim);
  }

  private async renew(key: InboxKey, { token, leaseMs }: InboxClaim): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} SET due_at = clock_timestamp() + $5::float8 * ${MS}
       WHERE event_id = $1 AND consumer = $2 AND type = $3 AND claim_token = $4 RETURNING 1`,
      [key.eventId, key.consumer, key.type, token, leaseMs],
    );
    return rows.length === 1;
  }

  async insertFailure(key: InboxKey, message: InboxMessage, failure: InboxFailure, waitMs: number): Promise<boolean> {
    const { status, delayMs } = toColumns(failure);
    const rows = await queryWaiting(
      this.dataSource,
      `INSERT INTO ${this.table} AS i
         (event_id, consumer, type, version, status, attempts, due_at, ended_at, reason, history, body, properties, redrives)
       SELECT $1, $2, $3, $4::int, $5, 1, clock_timestamp() + $6::float8 * ${MS},
         CASE WHEN $6::float8 IS NULL THEN clock_timestamp() END, $7::text,
         jsonb_build_array(jsonb_build_object('attempt', 1, 'at', statement_timestamp(), 'reason', $7::text)),
         $8::bytea, $9::jsonb, $10::int FROM ${lockTimeout('$11')}
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`,
      [
        key.eventId,
        key.consumer,
        key.type,
        message.version,
        status,
        delayMs,
        this.storable(failure.reason),
        message.body,
        this.storable(storableJson(message.properties)),
        message.redrives,
        waitMs,
      ],
      waitMs,
    );
    return rows.length === 1;
  }

  async park(key: InboxKey, message: InboxMessage, reason: string): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `INSERT INTO ${this.table}
         (event_id, consumer, type, version, status, attempts, ended_at, reason, body, properties, redrives)
       VALUES ($1, $2, $3, $4, 'rejected', 0, clock_timestamp(), $5, $6, $7, $8)
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`,
      [
        key.eventId,
        key.consumer,
        key.type,
        message.version,
        this.storable(reason),
        message.body,
        this.storable(storableJson(message.properties)),
        message.redrives,
      ],
    );
    return rows.length === 1;
  }

  /** Index reliable_mq_inbox_due (only unfinished rows are in it), or the few of them in reliable_mq_inbox_suspects. */
  async claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]> {
    const rows = await queryAlone<ClaimedRow>(
      this.dataSource,
      `WITH due AS MATERIALIZED (
         SELECT i.event_id, i.consumer, i.type, i.due_at, q.lease_ms FROM ${this.table} AS i
         JOIN unnest($1::text[], $2::text[], $3::float8[]) AS q (consumer, type, lease_ms) ON q.consumer = i.consumer AND q.type = i.type
         WHERE i.due_at <= statement_timestamp() AND i.unfinished_starts ${which === 'suspects' ? '>=' : '<'} ${SUSPECT_STARTS}
         ORDER BY i.due_at LIMIT $4 FOR UPDATE OF i SKIP LOCKED
       )
       UPDATE ${this.table} AS i
       SET due_at = clock_timestamp() + due.lease_ms * ${MS}, claim_token = $5,
         attempts = i.attempts + 1, unfinished_starts = i.unfinished_starts + 1
       FROM due WHERE i.event_id = due.event_id AND i.consumer = due.consumer AND i.type = due.type
       RETURNING ${CLAIMED}, extract(epoch FROM statement_timestamp() - due.due_at) * 1000 AS overdue_ms`,
      [...columnsOf(queues), limit, token],
    );
    return rows.map(toClaimedInboxRow).sort((a, b) => b.overdueMs - a.overdueMs);
  }

  /** Index reliable_mq_inbox_suspects. */
  async hasDueSuspect(queues: readonly ClaimableQueue[]): Promise<boolean> {
    const [consumers, types] = columnsOf(queues);
    const rows = await queryAlone(
      this.dataSource,
      `SELECT FROM ${this.table} AS i JOIN unnest($1::text[], $2::text[]) AS q (consumer, type) ON q.consumer = i.consumer AND q.type = i.type
       WHERE i.due_at <= statement_timestamp() AND i.unfinished_starts >= ${SUSPECT_STARTS} LIMIT 1`,
      [consumers, types],
    );
    return rows.length > 0;
  }

  async claimRedriven(key: InboxKey, redrives: number, claim: InboxClaim): Promise<ClaimedInboxRow | undefined> {
    const [row] = await queryAlone<ClaimedRow>(
      this.dataSource,
      `UPDATE ${this.table} AS i
       SET status = 'failed', due_at = clock_timestamp() + $5::float8 * ${MS}, claim_token = $6,
         attempts = 1, unfinished_starts = 1, redrives = $4, ended_at = NULL
       WHERE event_id = $1 AND consumer = $2 AND type = $3 AND redrives < $4 AND status IN ('dead', 'rejected')
       RETURNING ${CLAIMED}, 0 AS overdue_ms`,
      [key.eventId, key.consumer, key.type, redrives, claim.leaseMs, claim.token],
    );
    return row && toClaimedInboxRow(row);
  }

  async settleHandled(manager: EntityManager, key: InboxKey, token: string): Promise<boolean> {
    const rows = await queryIn(
      manager,
      `UPDATE ${this.table} SET status = 'handled', due_at = NULL, claim_token = NULL, unfinished_starts = 0,
         ended_at = clock_timestamp(), body = NULL, properties = NULL, reason = NULL
       WHERE event_id = $1 AND consumer = $2 AND type = $3 AND claim_token = $4 RETURNING 1`,
      [key.eventId, key.consumer, key.type, token],
    );
    return rows.length === 1;
  }

  async settleFailed(key: InboxKey, token: string, failure: InboxFailure): Promise<boolean> {
    const { status, delayMs } = toColumns(failure);
    const rows = await queryAlone(
      this.dataSource,
      `UPDATE ${this.table} AS i SET status = $5, due_at = clock_timestamp() + $6::float8 * ${MS},
         ended_at = CASE WHEN $6::float8 IS NULL THEN clock_timestamp() END,
         claim_token = NULL, unfinished_starts = 0, reason = $7, history = ${appendHistory('i.history', 'i.attempts', '$7::text')}
       WHERE event_id = $1 AND consumer = $2 AND type = $3 AND claim_token = $4 RETURNING 1`,
      [key.eventId, key.consumer, key.type, token, status, delayMs, this.storable(failure.reason)],
    );
    return rows.length === 1;
  }

  async release(key: InboxKey, token: string): Promise<boolean> {
    const rows = await queryAlone(
      this.dataSource,
      `${this.releaseText} WHERE event_id = $1 AND consumer = $2 AND type = $3 AND claim_token = $4 RETURNING 1`,
      [key.eventId, key.consumer, key.type, token],
    );
    return rows.length === 1;
  }

  /**
   * Reads all unfinished rows, for claims have no index of their own: through reliable_mq_inbox_due while they are few beside the ended
   * ones, otherwise by a sequential scan (of 500,000: 0.16 s, 0.7 s when they are not in memory).
   */
  async releaseClaim(token: string): Promise<number> {
    const rows = await queryAlone(
      this.dataSource,
      `${this.releaseText} WHERE due_at IS NOT NULL AND claim_token = $1 RETURNING 1`,
      [token],
    );
    return rows.length;
  }

  private get releaseText(): string {
    return `UPDATE ${this.table} SET due_at = clock_timestamp(), claim_token = NULL,
         attempts = greatest(attempts - 1, 0), unfinished_starts = greatest(unfinished_starts - 1, 0)`;
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

/** Those that are sent so often that they are worth a name. */
interface InboxStatements {
  readonly insertOne: NamedStatement;
  readonly insertAll: NamedStatement;
  readonly withdrawal: NamedStatement;
}

function inboxStatements(table: string): InboxStatements {
  const into = `INSERT INTO ${table} (event_id, consumer, type, version, redrives, status, attempts, ended_at)`;
  return {
    insertOne: named(`${into}
       VALUES ($1, $2, $3, $4, $5, 'handled', 1, clock_timestamp())
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING 1`),
    insertAll: named(`${into}
       SELECT event_id, $1, $2, version, redrives, 'handled', 1, clock_timestamp()
       FROM json_to_recordset($3::json) AS m (event_id text, version int, redrives int) ORDER BY event_id
       ON CONFLICT (event_id, consumer, type) DO NOTHING RETURNING event_id, xmin::text AS transaction`),
    // By the primary key; `xmin` is the transaction that has inserted the row, which nobody has updated since.
    withdrawal: named(`DELETE FROM ${table} WHERE consumer = $1 AND type = $2 AND xmin::text = $3
       AND event_id = ANY (ARRAY(SELECT json_array_elements_text($4::json)))`),
  };
}

function withdrawn({ consumer, type, transaction = '' }: SharedClaim, eventIds: readonly string[]): string[] {
  return [consumer, type, transaction, JSON.stringify(eventIds)];
}

function columnsOf(queues: readonly ClaimableQueue[]): [consumers: string[], types: string[], leasesMs: number[]] {
  return [queues.map(({ consumer }) => consumer), queues.map(({ type }) => type), queues.map(({ leaseMs }) => leaseMs)];
}

const CLAIMED = `i.event_id, i.consumer, i.type, i.version, i.attempts, i.unfinished_starts, i.body, i.properties, i.redrives`;

interface ClaimedRow {
  event_id: string;
  consumer: string;
  type: string;
  version: number;
  attempts: number;
  unfinished_starts: number;
  body: Buffer | null;
  properties: Record<string, unknown> | null;
  redrives: number;
  overdue_ms: string;
}

function toClaimedInboxRow(row: ClaimedRow): ClaimedInboxRow {
  return {
    eventId: row.event_id,
    consumer: row.consumer,
    type: row.type,
    version: row.version,
    attempts: row.attempts,
    unfinishedStarts: row.unfinished_starts,
    body: row.body ?? Buffer.alloc(0),
    properties: row.properties ?? {},
    redrives: row.redrives,
    overdueMs: Number(row.overdue_ms),
  };
}

function toColumns(failure: InboxFailure): { status: InboxStatus; delayMs: number | null } {
  return 'end' in failure.next
    ? { status: failure.next.end, delayMs: null }
    : { status: 'failed', delayMs: failure.next.retryInMs };
}
