import type { DataSource } from 'typeorm';
import { storableText } from '../../../event/storable';
import type { OutboxStatus, StoredOutcome } from '../../../outbox/outbox.entity';
import type { PublishSettlement, Unsettled } from '../../../outbox/outbox.store';
import { appendedHistory } from '../append-history';
import { inOwnTransaction } from '../sql';
import { microseconds, NOW, toBinary, toUuid } from '../values';
import { type LockedRow, OutboxRows } from './outbox-rows';

const MAX_REASON_LENGTH = 2000;

/**
 * All is decided on the rows' newest versions: also on what a concurrent statement has changed while this one waited for it. Dead rows are
 * not locked: a compensation's handler may hold them for as long as it runs.
 */
export function settlePublishing(
  dataSource: DataSource,
  settlements: readonly PublishSettlement[],
): Promise<readonly Unsettled[]> {
  return inOwnTransaction(dataSource, async (own) => {
    const rows = new OutboxRows(dataSource, own);
    const seen = await rows.statuses(settlements.map(({ id }) => id));
    const open = [...seen].flatMap(([id, status]) => (isOpen(status) ? [id] : []));
    const locked = new Map(
      (await rows.lock<PublishedRow>(open, PUBLISHED, true))
        .filter(({ status }) => isOpen(status))
        .map((row) => [toUuid(row.id), row]),
    );
    const isWon = ({ id, token }: PublishSettlement): boolean =>
      locked.get(id)?.claim_token?.equals(toBinary(token)) ?? false;
    await rows.write(
      COLUMNS,
      settlements.filter(isWon).map((each) => valuesOf(each, locked.get(each.id) as PublishedRow)),
      ASSIGNMENTS,
    );
    return settlements
      .filter((each) => !isWon(each))
      .map(({ id, token }) => ({
        id,
        token,
        because: locked.has(id) ? 'claim-lost' : seen.has(id) ? 'ended' : 'missing',
      }));
  });
}

const PUBLISHED = 'confirm, attempts, claim_token, reason, history, outcomes';

interface PublishedRow extends LockedRow {
  readonly confirm: string;
  readonly attempts: string;
  readonly claim_token: Buffer | null;
  readonly reason: string | null;
  readonly history: string;
  readonly outcomes: string;
}

const COLUMNS = ['id', 'status', 'attempts', 'due_us', 'keeps_later', 'is_published', 'is_ended', 'reason', 'history'];

const ASSIGNMENTS = `o.status = v.status, o.attempts = v.attempts,
  o.due_at = IF(v.keeps_later AND o.due_at > ${NOW} + INTERVAL v.due_us MICROSECOND, o.due_at, ${NOW} + INTERVAL v.due_us MICROSECOND),
  o.published_at = IF(v.is_published, ${NOW}, o.published_at), o.ended_at = IF(v.is_ended, ${NOW}, NULL),
  o.reason = v.reason, o.history = COALESCE(v.history, o.history), o.claim_token = NULL`;

const NEXT_STATUS = { published: 'published', dead: 'dead', retry: 'pending', postponed: undefined } as const;

function valuesOf({ id, result, delayMs, reason }: PublishSettlement, row: PublishedRow): readonly unknown[] {
  const attempts = Number(row.attempts);
  const isPublished = result === 'published';
  const isAtEnd = isPublished && row.confirm !== '1';
  const why = reason === null ? null : storableText(reason, MAX_REASON_LENGTH);
  const isFailedAttempt = result === 'retry' || result === 'dead';
  return [
    toBinary(id),
    NEXT_STATUS[result] ?? row.status,
    result === 'postponed' ? Math.max(attempts - 1, 0) : Math.max(attempts, 1),
    isAtEnd ? null : microseconds(delayMs),
    // A consumer that retries may have moved it beyond the lease before the outcome of publishing came.
    isPublished && hasRetrying(row.outcomes),
    isPublished,
    isAtEnd || result === 'dead',
    isPublished ? null : (why ?? row.reason),
    isFailedAttempt ? appendedHistory(row.history, Math.max(attempts, 1), row.locked_at, why) : null,
  ];
}

function hasRetrying(outcomes: string): boolean {
  const stored = JSON.parse(outcomes) as Record<string, StoredOutcome>;
  return Object.values(stored).some(({ outcome }) => outcome === 'retrying');
}

function isOpen(status: OutboxStatus): boolean {
  return status === 'pending' || status === 'published';
}
