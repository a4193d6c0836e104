import type { DataSource, QueryRunner } from 'typeorm';
import type { StoredOutcome } from '../../../outbox/outbox.entity';
import type { Claim, ClaimableStatus, ClaimedEvent, ClaimLimit, DueRange } from '../../../outbox/outbox.store';
import { byKey } from './outbox-rows';
import { inOwnTransaction, queryAlone, queryOn, writeOn } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { FROM_NOW, microseconds, millisecondsBetween, NOW, toBinary, toUuid } from '../values';

interface Lease {
  readonly token: string;
  readonly leaseMs: number;
}

/**
 * Index reliable_mq_outbox_due (status, due_at): an equality, a range and its order, so the scan stops at the limit, and locks no more than
 * it takes. Without that index rows would be sorted, and each candidate locked.
 *
 * A row says how large its payload is, so that as many are claimed as fit; payloads are read afterwards, by primary key.
 */
export async function claimEvents(
  dataSource: DataSource,
  status: ClaimableStatus,
  limit: ClaimLimit,
  lease: Lease,
  range: DueRange | undefined,
): Promise<Claim> {
  const { rows, found } = await inOwnTransaction(dataSource, (own) =>
    claimRows(dataSource, own, status, limit, lease, range),
  );
  if (rows.length === 0) return { events: [], lastDueAt: undefined, isFull: false };
  const read = await queryAlone<{ id: Buffer; payload: string }>(
    dataSource,
    `SELECT id, payload FROM ${byKey(dataSource)} WHERE id IN (?)`,
    [rows.map(({ id }) => id)],
  );
  const payloads = new Map(read.map(({ id, payload }) => [toUuid(id), payload]));
  const events = rows.flatMap((row) => {
    const payload = payloads.get(toUuid(row.id));
    // Somebody has deleted it by hand.
    return payload === undefined ? [] : [toClaimedEvent(row, payload, status)];
  });
  return {
    events: events.sort((a, b) => (a.id < b.id ? -1 : 1)),
    lastDueAt: rows.at(-1)?.due_at,
    isFull: found >= limit.rows || found > rows.length,
  };
}

async function claimRows(
  dataSource: DataSource,
  own: QueryRunner,
  status: ClaimableStatus,
  limit: ClaimLimit,
  { token, leaseMs }: Lease,
  range: DueRange | undefined,
): Promise<{ readonly rows: readonly ClaimedRow[]; readonly found: number }> {
  const names = sqlNamesOf(dataSource);
  const from = fromOf(range);
  const found = await queryOn<ClaimedRow>(
    own,
    `SELECT id, type, version, payload_bytes, headers, consumers, confirm, attempts, compensation_attempts, redrives, outcomes, reason, due_at,
       event_key, causation_id,
       ${millisecondsBetween('published_at', NOW)} AS published_ago_ms, ${millisecondsBetween('due_at', NOW)} AS overdue_ms
     FROM ${names.outbox} FORCE INDEX (${names.index('outbox', 'due')})
     WHERE status = ? AND due_at <= ${NOW}${from.sql} ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED`,
    [status, ...from.parameters, limit.rows],
  );
  const rows = fitting(found, limit.bytes);
  if (rows.length > 0) {
    const counter = status === 'dead' ? 'compensation_attempts' : 'attempts';
    await writeOn(
      own,
      `UPDATE ${byKey(dataSource)} SET due_at = ${FROM_NOW}, claim_token = ?, ${counter} = ${counter} + 1 WHERE id IN (?)`,
      [microseconds(leaseMs), toBinary(token), rows.map(({ id }) => id)],
    );
  }
  return { rows, found: found.length };
}

function fromOf(range: DueRange | undefined): { readonly sql: string; readonly parameters: readonly unknown[] } {
  if (range === undefined) return { sql: '', parameters: [] };
  if ('dueFrom' in range) return { sql: ' AND due_at >= ?', parameters: [range.dueFrom] };
  return { sql: ` AND due_at >= ${NOW} - INTERVAL ? MICROSECOND`, parameters: [microseconds(range.dueWithinMs)] };
}

/** The first of them, however large, and those behind it before which there are fewer bytes than that. */
function fitting(rows: readonly ClaimedRow[], maxBytes: number): readonly ClaimedRow[] {
  let bytes = 0;
  const end = rows.findIndex(({ payload_bytes }, index) => {
    const before = bytes;
    bytes += Number(payload_bytes);
    return index > 0 && before >= maxBytes;
  });
  return end < 0 ? rows : rows.slice(0, end);
}

interface ClaimedRow {
  readonly id: Buffer;
  readonly type: string;
  readonly version: string;
  readonly payload_bytes: string;
  readonly headers: string | null;
  readonly consumers: string;
  readonly confirm: string;
  readonly attempts: string;
  readonly compensation_attempts: string;
  readonly redrives: string;
  readonly outcomes: string;
  readonly reason: string | null;
  readonly event_key: string | null;
  readonly causation_id: Buffer | null;
  /** Before the claim. */
  readonly due_at: string;
  readonly published_ago_ms: string | null;
  readonly overdue_ms: string;
}

function toClaimedEvent(row: ClaimedRow, payload: string, status: ClaimableStatus): ClaimedEvent {
  return {
    id: toUuid(row.id),
    type: row.type,
    version: Number(row.version),
    payload,
    headers: row.headers === null ? null : (JSON.parse(row.headers) as ClaimedEvent['headers']),
    consumers: JSON.parse(row.consumers) as string[],
    confirm: row.confirm === '1',
    attempts: Number(row.attempts) + (status === 'dead' ? 0 : 1),
    compensationAttempts: Number(row.compensation_attempts) + (status === 'dead' ? 1 : 0),
    redrives: Number(row.redrives),
    publishedAgoMs: row.published_ago_ms === null ? null : Number(row.published_ago_ms),
    outcomes: JSON.parse(row.outcomes) as Record<string, StoredOutcome>,
    reason: row.reason,
    key: row.event_key,
    causationId: row.causation_id && toUuid(row.causation_id),
    overdueMs: Number(row.overdue_ms),
  };
}
