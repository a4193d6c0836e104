import type { DataSource, QueryRunner } from 'typeorm';
import { storableText } from '../../../event/storable';
import type { StoredOutcome } from '../../../outbox/outbox.entity';
import type { AppliedReceipt, AppliedReceipts, Receipt } from '../../../outbox/outbox.store';
import { inOwnTransaction, queryOn } from '../sql';
import { microseconds, NOW, OLDEST_ID_WITHIN, toIsoText, toUuid } from '../values';
import { type LockedRow, OutboxRows } from './outbox-rows';
import { judge, type Verdict } from './receipts';

/** A consumer's own next attempt needs this long to be reported before the chase asks again. */
const RETRY_GRACE_MS = 5000;

/**
 * What a receipt finds pending is due from now on as published: a scan for such rows may have passed the old moment.
 *
 * A compensation's handler holds its dead row for as long as it runs: such rows are not waited for, and are `busy`. InnoDB locks what it looks at
 * before it looks whether it is dead, so that is asked first, without a lock. A row that dies, is claimed and is held between the two is
 * waited for, until the server ends the waiting and all is asked again.
 */
export function applyReceipts(
  dataSource: DataSource,
  receipts: readonly Receipt[],
  keptHours: number | undefined,
): Promise<Omit<AppliedReceipts, 'refused'>> {
  const byId = groupedById(receipts);
  return inOwnTransaction(dataSource, async (own) => {
    const rows = new OutboxRows(dataSource, own);
    const ids = [...byId.keys()];
    const seen = await rows.statuses(ids);
    const dead = ids.filter((id) => seen.get(id) === 'dead');
    const living = ids.filter((id) => seen.has(id) && seen.get(id) !== 'dead');
    const locked = [
      // One that has died while it was waited for may be held by its compensation next.
      ...(await rows.lock<ReportedRow>(living, REPORTED, true)).filter(({ status }) => status !== 'dead'),
      ...(await rows.lock<ReportedRow>(dead, REPORTED, false)),
    ];
    const judged = locked
      .filter(({ confirm }) => confirm === '1')
      .map((row) => judgeRow(row, byId.get(toUuid(row.id)) ?? []));
    await rows.write(COLUMNS, judged.map(valuesOf), ASSIGNMENTS);
    const held = new Set(locked.map(({ id }) => toUuid(id)));
    return {
      applied: judged.map(toAppliedReceipt),
      busy: ids.filter((id) => seen.has(id) && !held.has(id)),
      unknown: await unpruned(
        own,
        ids.filter((id) => !seen.has(id)),
        keptHours,
      ),
    };
  });
}

function groupedById(receipts: readonly Receipt[]): ReadonlyMap<string, readonly Receipt[]> {
  const byId = new Map<string, Receipt[]>();
  for (const receipt of receipts) {
    const { eventId, consumer, reason, where } = receipt;
    const clean = {
      ...receipt,
      consumer: storableText(consumer),
      reason: reason === null ? null : storableText(reason),
      ...(where !== undefined && { where: storableText(where) }),
    };
    const same = byId.get(eventId);
    if (same) same.push(clean);
    else byId.set(eventId, [clean]);
  }
  return byId;
}

/** Those that may not have been pruned: an event that was recorded longer ago than it is kept may have been. */
async function unpruned(
  own: QueryRunner,
  ids: readonly string[],
  keptHours: number | undefined,
): Promise<readonly string[]> {
  if (keptHours === undefined || ids.length === 0) return ids;
  const [row] = await queryOn<{ id: Buffer }>(own, `SELECT ${OLDEST_ID_WITHIN} AS id`, [keptHours]);
  const oldest = row ? toUuid(row.id) : '';
  return ids.filter((id) => id > oldest);
}

const REPORTED = 'type, reason, confirm, consumers, outcomes, redrives';

interface ReportedRow extends LockedRow {
  readonly type: string;
  readonly reason: string | null;
  readonly confirm: string;
  readonly consumers: string;
  readonly outcomes: string;
  readonly redrives: string;
}

interface JudgedRow {
  readonly row: ReportedRow;
  readonly consumers: readonly string[];
  readonly verdict: Verdict;
}

function judgeRow(row: ReportedRow, receipts: readonly Receipt[]): JudgedRow {
  const consumers = JSON.parse(row.consumers) as string[];
  const outcomes = JSON.parse(row.outcomes) as Record<string, StoredOutcome>;
  const reported = { status: row.status, consumers, outcomes, redrives: Number(row.redrives) };
  return { row, consumers, verdict: judge(reported, receipts, toIsoText(row.locked_at)) };
}

const COLUMNS = ['id', 'status', 'outcomes', 'reason', 'due', 'retry_us', 'is_ended', 'ends_now'];

const RETRY = `${NOW} + INTERVAL v.retry_us MICROSECOND`;
const ASSIGNMENTS = `o.status = v.status, o.outcomes = v.outcomes, o.reason = v.reason, o.attempts = GREATEST(o.attempts, 1),
  o.due_at = CASE v.due WHEN 'never' THEN NULL WHEN 'now' THEN ${NOW}
                        WHEN 'later' THEN IF(o.due_at > ${RETRY}, o.due_at, ${RETRY}) ELSE o.due_at END,
  o.published_at = COALESCE(o.published_at, ${NOW}), o.ended_at = IF(v.is_ended, COALESCE(o.ended_at, ${NOW}), NULL),
  o.claim_token = IF(v.ends_now, NULL, o.claim_token)`;

function valuesOf({ row, verdict }: JudgedRow): readonly unknown[] {
  const { status, outcomes, retryMs } = verdict;
  const endsNow = hasEnded(status) && !hasEnded(row.status);
  const dueInMs = retryMs === null ? (row.status === 'pending' ? 0 : null) : retryMs + RETRY_GRACE_MS;
  return [
    row.id,
    status,
    JSON.stringify(outcomes),
    reasonOf({ row, verdict }),
    endsNow ? (status === 'consumed' ? 'never' : 'now') : hasEnded(status) || dueInMs === null ? 'as before' : 'later',
    microseconds(dueInMs),
    hasEnded(status),
    endsNow,
  ];
}

function reasonOf({ row, verdict }: Omit<JudgedRow, 'consumers'>): string | null {
  if (hasEnded(row.status)) return row.reason;
  return verdict.status === 'dead' ? verdict.failure : null;
}

function hasEnded(status: string): boolean {
  return status === 'consumed' || status === 'dead';
}

function toAppliedReceipt({ row, consumers, verdict }: JudgedRow): AppliedReceipt {
  const { status, changed } = verdict;
  const isForeign = consumers.length > 0 && changed.some((consumer) => !consumers.includes(consumer));
  return {
    eventId: toUuid(row.id),
    type: row.type,
    statusBefore: row.status,
    status,
    reason: reasonOf({ row, verdict }),
    changed,
    declared: isForeign ? consumers : undefined,
  };
}
