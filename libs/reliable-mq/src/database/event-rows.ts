import type { AttemptRecord } from '../event/outcome';
import type { OutboxStatus, StoredOutcome } from '../outbox/outbox.entity';
import type { EventRecord } from './operations.store';

/** Columns of the outbox, as a store has read them: numbers, dates and JSON are what they mean. */
export interface OutboxTableRow {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly payload: unknown;
  readonly headers: Record<string, unknown> | null;
  readonly status: OutboxStatus;
  readonly consumers: string[];
  readonly attempts: number;
  readonly reason: string | null;
  readonly history: AttemptRecord[];
  readonly outcomes: Record<string, StoredOutcome>;
  readonly redrives: number;
  readonly compensation_attempts: number;
  readonly created_at: Date;
  readonly published_at: Date | null;
  readonly ended_at: Date | null;
  readonly compensated_at: Date | null;
  readonly due_at: Date | null;
  readonly event_key: string | null;
  readonly causation_id: string | null;
  readonly archived_at: Date | null;
}

/** Where the consumer threw that a dead event's reason tells of. */
export function placeOfDeath(
  reason: string | null,
  outcomes: Readonly<Record<string, StoredOutcome>>,
): string | undefined {
  const told = Object.entries(outcomes).find(
    ([consumer, { outcome, reason: own }]) => reason === `${consumer} ${outcome}: ${own ?? 'no reason given'}`,
  );
  return told?.[1].where;
}

export function toEventRecord(row: OutboxTableRow): EventRecord {
  const { id, type, version, payload, status, consumers, attempts, reason, history, redrives } = row;
  return {
    id,
    type,
    version,
    payload,
    status,
    consumers,
    attempts,
    reason,
    history,
    redrives,
    headers: row.headers ?? {},
    outcomes: Object.entries(row.outcomes).map(([consumer, stored]) => ({ consumer, ...stored })),
    compensationAttempts: row.compensation_attempts,
    createdAt: row.created_at,
    publishedAt: row.published_at,
    endedAt: row.ended_at,
    compensatedAt: row.compensated_at,
    dueAt: row.due_at,
    key: row.event_key,
    causationId: row.causation_id,
    archivedAt: row.archived_at,
  };
}
