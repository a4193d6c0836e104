import type { DataSource } from 'typeorm';
import type { AttemptRecord } from '../../../event/outcome';
import type { InboxStatus } from '../../../inbox/inbox.entity';
import type { InboxKey } from '../../../inbox/inbox.store';
import { readCursor } from '../../cursor';
import type { FailedFilter, FailedHandling, FailedStatus, Page } from '../../failures';
import {
  HANDLING_COLUMNS,
  type HandlingTableRow,
  INBOX_ORDER,
  inboxCursor,
  placeOf,
  type InboxTableRow,
  toHandlingRecord,
  toInboxRecord,
} from '../../inbox-rows';
import {
  DEFAULT_LIMIT,
  type HandlingRecord,
  type InboxFilter,
  type InboxRecord,
  MAX_LIMIT,
} from '../../operations.store';
import { LAST_ATTEMPT } from '../append-history';
import { readRow } from '../rows';
import { queryAlone } from '../sql';
import { sqlNamesOf } from '../sql-names';

const NOT_HANDLED: readonly InboxStatus[] = ['failed', 'waiting', 'rejected', 'dead'];

interface Wanted extends Pick<InboxFilter, 'consumer' | 'type' | 'key' | 'eventId'> {
  /** None: every one. */
  readonly statuses: readonly InboxStatus[];
  readonly direction: 'ASC' | 'DESC';
  /** Cursor of a handling: only those behind it, in this direction. */
  readonly behind?: string | undefined;
  readonly limit: number;
}

/** Handlings as people look for them: as with events, their keys are found in an index that is named, and in its order. */
export class HandlingLists {
  constructor(private readonly dataSource: DataSource) {}

  private get table(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  private by(index: 'status' | 'event_key' | 'PRIMARY'): string {
    const name = index === 'PRIMARY' ? index : sqlNamesOf(this.dataSource).index('inbox', index);
    return `${this.table} FORCE INDEX (${name})`;
  }

  async list({ status, before, limit = DEFAULT_LIMIT, ...filter }: InboxFilter): Promise<readonly InboxRecord[]> {
    const isNamed = filter.eventId !== undefined || filter.key !== undefined;
    const statuses = status !== undefined ? [status] : isNamed ? [] : NOT_HANDLED;
    const direction = 'DESC';
    const rows = await this.rows('i.*', {
      ...filter,
      statuses,
      direction,
      behind: before,
      limit: Math.min(limit, MAX_LIMIT),
    });
    return rows.map((row) => toInboxRecord(readRow(row) as InboxTableRow));
  }

  async failedHandlings(filter: FailedFilter, page: Page): Promise<readonly FailedHandling[]> {
    const { status, ...others } = filter;
    const { order, behind, limit } = page;
    const rows = await this.rows(
      `i.event_id, i.consumer, i.type, i.status, i.event_key, i.reason, ${LAST_ATTEMPT}, i.received_at`,
      {
        ...others,
        statuses: status === undefined ? NOT_HANDLED : [status],
        direction: order === 'oldestFirst' ? 'ASC' : 'DESC',
        behind,
        limit,
      },
    );
    return rows.map((found) => {
      const row = readRow(found) as FailedRow;
      const { event_id, consumer, type, status, event_key, reason, received_at } = row;
      const cursor = inboxCursor(row);
      return {
        eventId: event_id,
        consumer,
        type,
        status,
        key: event_key,
        reason,
        ...placeOf(row),
        receivedAt: received_at,
        cursor,
      };
    });
  }

  handlingsOf(eventIds: readonly string[], limit: number): Promise<readonly HandlingRecord[]> {
    if (eventIds.length === 0) return Promise.resolve([]);
    return this.handlingsWhere('PRIMARY', 'event_id IN (?)', eventIds, limit);
  }

  async handlingsAfter({ eventId, consumer, type }: InboxKey, limit: number): Promise<readonly HandlingRecord[]> {
    const rows = await queryAlone<object>(
      this.dataSource,
      // The first condition is for the index: it knows no ranges of several columns.
      `SELECT ${HANDLING_COLUMNS.join(', ')} FROM ${this.by('PRIMARY')}
       WHERE event_id >= ? AND (event_id, consumer, type) > (?, ?, ?) ORDER BY event_id, consumer, type LIMIT ?`,
      [eventId, eventId, consumer, type, limit],
    );
    return rows.map((row) => toHandlingRecord(readRow(row) as HandlingTableRow));
  }

  listHandlings(key: string, limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlingsWhere('event_key', 'event_key = ?', key, limit);
  }

  private async handlingsWhere(
    index: 'PRIMARY' | 'event_key',
    condition: string,
    value: unknown,
    limit: number,
  ): Promise<readonly HandlingRecord[]> {
    const rows = await queryAlone<object>(
      this.dataSource,
      `SELECT ${HANDLING_COLUMNS.join(', ')} FROM ${this.by(index)} WHERE ${condition} ORDER BY received_at LIMIT ?`,
      [value, limit],
    );
    return rows.map((row) => toHandlingRecord(readRow(row) as HandlingTableRow));
  }

  /** By event or key where one is given; else by reliable_mq_inbox_status, which has the rows of each status in the order of the lists. */
  private async rows(columns: string, wanted: Wanted): Promise<readonly object[]> {
    const { direction, limit } = wanted;
    const conditions: string[] = [];
    const parameters: unknown[] = [];
    const where = (condition: string, ...values: readonly unknown[]): void => {
      if (values.includes(undefined)) return;
      conditions.push(condition);
      parameters.push(...values);
    };
    where('event_id = ?', wanted.eventId);
    where('event_key = ?', wanted.key);
    where('consumer = ?', wanted.consumer);
    where('type = ?', wanted.type);
    if (wanted.behind !== undefined) {
      const place = readCursor(wanted.behind);
      const behind = direction === 'ASC' ? '>' : '<';
      // The first one is for the index: it knows no ranges of several columns.
      where(`received_at ${behind}= ? AND (${INBOX_ORDER.join(', ')}) ${behind} (?)`, place[0], place);
    }
    const index = wanted.eventId !== undefined ? 'PRIMARY' : wanted.key !== undefined ? 'event_key' : 'status';
    const ordered = (prefix = ''): string => INBOX_ORDER.map((column) => `${prefix}${column} ${direction}`).join(', ');
    const statuses = wanted.statuses.length > 0 ? wanted.statuses.map((status) => `status = '${status}'`) : ['TRUE'];
    const parts = statuses.map(
      (status) =>
        `(SELECT ${INBOX_ORDER.join(', ')} FROM ${this.by(index)} WHERE ${[status, ...conditions].join(' AND ')}
          ORDER BY ${ordered()} LIMIT ${limit})`,
    );
    return queryAlone<object>(
      this.dataSource,
      `SELECT ${columns}, i.received_at AS received_at_text
       FROM (${parts.join(' UNION ALL ')} ORDER BY ${ordered()} LIMIT ${limit}) AS found
       STRAIGHT_JOIN ${this.table} AS i ON i.event_id = found.event_id AND i.consumer = found.consumer AND i.type = found.type
       ORDER BY ${ordered('i.')}`,
      parts.flatMap(() => parameters),
    );
  }
}

interface FailedRow {
  readonly event_id: string;
  readonly consumer: string;
  readonly type: string;
  readonly status: FailedStatus;
  readonly event_key: string | null;
  readonly reason: string | null;
  readonly last_attempt: AttemptRecord | null;
  readonly received_at: Date;
  readonly received_at_text: string;
}
