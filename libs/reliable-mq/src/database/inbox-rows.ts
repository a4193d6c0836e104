import type { AttemptRecord } from '../event/outcome';
import type { InboxStatus } from '../inbox/inbox.entity';
import type { ClaimedInboxRow, InboxFailure } from '../inbox/inbox.store';
import { writeCursor } from './cursor';
import type { HandlingRecord, InboxRecord } from './operations.store';

/** Columns of the inbox, as a store has read them: numbers, dates and JSON are what they mean. */
export interface ClaimedTableRow {
  readonly event_id: string;
  readonly consumer: string;
  readonly type: string;
  readonly version: number;
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly body: Buffer | null;
  readonly body_hash: Buffer | null;
  readonly properties: Record<string, unknown> | null;
  readonly redrives: number;
  readonly event_key: string | null;
}

export function toClaimedInboxRow(row: ClaimedTableRow, overdueMs: number): ClaimedInboxRow {
  return {
    overdueMs,
    eventId: row.event_id,
    consumer: row.consumer,
    type: row.type,
    version: row.version,
    attempts: row.attempts,
    unfinishedStarts: row.unfinished_starts,
    body: row.body ?? Buffer.alloc(0),
    bodyHash: row.body_hash,
    properties: row.properties ?? {},
    redrives: row.redrives,
    key: row.event_key,
  };
}

export interface HandlingTableRow {
  readonly event_id: string;
  readonly consumer: string;
  readonly type: string;
  readonly version: number;
  readonly status: InboxStatus;
  readonly attempts: number;
  readonly unfinished_starts: number;
  readonly reason: string | null;
  readonly history: AttemptRecord[];
  readonly received_at: Date;
  readonly ended_at: Date | null;
  readonly due_at: Date | null;
  readonly event_key: string | null;
}

/** All but the message. */
export const HANDLING_COLUMNS = [
  'event_id',
  'consumer',
  'type',
  'version',
  'status',
  'attempts',
  'unfinished_starts',
  'reason',
  'history',
  'received_at',
  'ended_at',
  'due_at',
  'event_key',
] as const;

export function toHandlingRecord(row: HandlingTableRow): HandlingRecord {
  const { consumer, type, version, status, attempts, reason, history } = row;
  return {
    consumer,
    type,
    version,
    status,
    attempts,
    reason,
    history,
    eventId: row.event_id,
    unfinishedStarts: row.unfinished_starts,
    receivedAt: row.received_at,
    endedAt: row.ended_at,
    dueAt: row.due_at,
    key: row.event_key,
  };
}

/** What lists of handlings are sorted by, and what their cursors hold. */
export const INBOX_ORDER = ['received_at', 'event_id', 'consumer', 'type'] as const;

export interface InboxTableRow extends HandlingTableRow {
  readonly body: Buffer | null;
  readonly properties: Record<string, unknown> | null;
  /** `received_at` in the store's own notation, to the microsecond. */
  readonly received_at_text: string;
}

export function toInboxRecord(row: InboxTableRow): InboxRecord {
  const { body, properties } = row;
  return { ...toHandlingRecord(row), body, properties, cursor: inboxCursor(row) };
}

export function inboxCursor(row: Pick<InboxTableRow, 'received_at_text' | 'event_id' | 'consumer' | 'type'>): string {
  return writeCursor([row.received_at_text, row.event_id, row.consumer, row.type]);
}

/** Where what a row's reason says was thrown: the reason may be of something that is no attempt. */
export function placeOf(row: { readonly reason: string | null; readonly last_attempt: AttemptRecord | null }): {
  readonly where?: string;
} {
  const { reason, where } = row.last_attempt ?? {};
  return where !== undefined && reason === row.reason ? { where } : {};
}

/** @returns how the row stands; whether that is the end of an attempt; in how many milliseconds it is due, null at an end */
export function failureColumns({ next }: InboxFailure): {
  status: InboxStatus;
  delayMs: number | null;
  counts: boolean;
} {
  if ('end' in next) return { status: next.end, delayMs: null, counts: true };
  if ('waitMs' in next) return { status: 'waiting', delayMs: next.waitMs, counts: false };
  return { status: 'failed', delayMs: next.retryInMs, counts: true };
}
