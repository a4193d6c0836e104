import type { DataSource } from 'typeorm';
import { lowestEventId } from '../../../event/event-id';
import type { OutboxStatus, StoredOutcome } from '../../../outbox/outbox.entity';
import { type OutboxTableRow, placeOfDeath, toEventRecord } from '../../event-rows';
import type { PastEvent, PastFilter } from '../../past-events';
import type { DeadEvent, DeadFilter, Page } from '../../failures';
import { DEFAULT_LIMIT, type EventFilter, type EventRecord, MAX_LIMIT } from '../../operations.store';
import { readRow } from '../rows';
import { type Parameters, queryAlone } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { NOW, toBinary, toDate, toUuid } from '../values';
import { isKnownTo } from './changes';

export const NEEDS_PERSON = 'due_at IS NULL AND compensated_at IS NULL AND archived_at IS NULL';

/** How the rows of a status stand in reliable_mq_outbox_due: those of a part that says all its columns are in the order of their ids. */
const PARTS: Readonly<Record<OutboxStatus, readonly string[]>> = {
  pending: ['due_at IS NOT NULL'],
  published: ['due_at IS NOT NULL'],
  consumed: [NEEDS_PERSON],
  dead: [
    NEEDS_PERSON,
    'due_at IS NULL AND compensated_at IS NULL AND archived_at IS NOT NULL',
    'due_at IS NULL AND compensated_at IS NOT NULL',
    'due_at IS NOT NULL',
  ],
};

/** What a list is made of: whatever of these is undefined does not matter. */
interface Wanted extends Pick<EventFilter, 'status' | 'type' | 'key' | 'causationId' | 'overdue'> {
  readonly needPerson?: boolean | undefined;
  readonly archived?: boolean | undefined;
  readonly direction: 'ASC' | 'DESC';
  /** Id of an event: only those behind it, in this direction. */
  readonly behind?: string | undefined;
  readonly limit: number;
}

/** Events as people look for them. Each list finds its ids in an index that is named, and then reads the rows of one page. */
export class EventLists {
  constructor(private readonly dataSource: DataSource) {}

  private get table(): string {
    return sqlNamesOf(this.dataSource).outbox;
  }

  private by(index: 'due' | 'event_key' | 'causation' | 'PRIMARY'): string {
    const name = index === 'PRIMARY' ? index : sqlNamesOf(this.dataSource).index('outbox', index);
    return `${this.table} FORCE INDEX (${name})`;
  }

  async list({ before, limit = DEFAULT_LIMIT, ...filter }: EventFilter): Promise<readonly EventRecord[]> {
    const wanted = { ...filter, direction: 'DESC', behind: before, limit: Math.min(limit, MAX_LIMIT) } as const;
    return this.events(...this.idsOf(wanted), `ORDER BY o.id DESC LIMIT ${wanted.limit}`);
  }

  async deadEvents(filter: DeadFilter, { order, behind, limit }: Page): Promise<readonly DeadEvent[]> {
    const direction = order === 'oldestFirst' ? 'ASC' : 'DESC';
    const archived = filter.archived ?? false;
    const [ids, parameters] = this.idsOf({ ...filter, archived, status: 'dead', direction, behind, limit });
    const columns = 'o.id, o.type, o.event_key, o.reason, o.outcomes, o.ended_at, o.compensated_at';
    const rows = await this.rows(columns, ids, parameters, `ORDER BY o.id ${direction} LIMIT ${limit}`);
    return rows.map((row) => {
      const { id, type, event_key, reason, outcomes, ended_at, compensated_at } = readRow(row) as DeadRow;
      const where = placeOfDeath(reason, outcomes);
      const isCompensated = compensated_at !== null;
      return { id, type, key: event_key, reason, where, endedAt: ended_at, isCompensated, cursor: id };
    });
  }

  /** Along the primary key. A rare type reads on until the page is full, or the table ends. */
  async pastEvents(
    { type, consumer, since }: PastFilter,
    { order, behind, limit }: Page,
  ): Promise<readonly PastEvent[]> {
    const isForward = order === 'oldestFirst';
    const bounds = [
      ...(since ? [['>=', lowestEventId(since.getTime())] as const] : []),
      ...(behind === undefined ? [] : [[isForward ? '>' : '<', behind] as const]),
    ];
    const rows = await queryAlone<PastEventRow>(
      this.dataSource,
      `SELECT id, status, created_at, due_at, consumers, outcomes FROM ${this.by('PRIMARY')}
       WHERE ${['type = ?', ...bounds.map(([operator]) => `id ${operator} ?`)].join(' AND ')}
       ORDER BY id ${isForward ? 'ASC' : 'DESC'} LIMIT ?`,
      [type, ...bounds.map(([, id]) => toBinary(id)), limit],
    );
    return rows.map((row) => ({
      id: toUuid(row.id),
      status: row.status,
      createdAt: toDate(row.created_at),
      hasEnded: row.due_at === null,
      isKnown: isKnownTo(consumer, row),
      cursor: toUuid(row.id),
    }));
  }

  eventsOf(eventIds: readonly string[]): Promise<readonly EventRecord[]> {
    if (eventIds.length === 0) return Promise.resolve([]);
    const ids = `SELECT id FROM ${this.by('PRIMARY')} WHERE id IN (?)`;
    return this.events(ids, [eventIds.map(toBinary)], 'ORDER BY o.id');
  }

  causedBy(eventIds: readonly string[], limit: number): Promise<readonly EventRecord[]> {
    if (eventIds.length === 0) return Promise.resolve([]);
    const ids = `SELECT id FROM ${this.by('causation')} WHERE causation_id IN (?) ORDER BY id LIMIT ?`;
    return this.events(ids, [eventIds.map(toBinary), limit], 'ORDER BY o.id');
  }

  /**
   * SQL of the ids: by key or cause where one is given; else by reliable_mq_outbox_due where a status or what is due is asked for, or along the
   * primary key.
   */
  private idsOf(wanted: Wanted): [sql: string, parameters: Parameters] {
    const { status, key, causationId, overdue, direction } = wanted;
    const conditions: string[] = [];
    const parameters: unknown[] = [];
    const where = (condition: string, value: unknown): void => {
      if (value === undefined) return;
      conditions.push(condition);
      parameters.push(value);
    };
    where('event_key = ?', key);
    where('causation_id = ?', causationId && toBinary(causationId));
    where('status = ?', status);
    if (wanted.needPerson) conditions.push("status = 'dead'");
    where('type = ?', wanted.type);
    where(`id ${direction === 'ASC' ? '>' : '<'} ?`, wanted.behind && toBinary(wanted.behind));
    if (wanted.archived !== undefined) conditions.push(`archived_at IS ${wanted.archived ? 'NOT NULL' : 'NULL'}`);
    // Every status that has a due time: without one the index is of no use.
    if (overdue) conditions.push(`due_at <= ${NOW}`, "status IN ('pending', 'published', 'dead')");
    const byTime = status !== undefined || wanted.needPerson || overdue;
    const index =
      key !== undefined ? 'event_key' : causationId !== undefined ? 'causation' : byTime ? 'due' : 'PRIMARY';
    const parts = wanted.needPerson ? [NEEDS_PERSON] : status === undefined ? ['TRUE'] : PARTS[status];
    const each = parts.map((part) => {
      const condition = [...conditions, part].join(' AND ');
      return `(SELECT id FROM ${this.by(index)} WHERE ${condition} ORDER BY id ${direction} LIMIT ${wanted.limit})`;
    });
    return [each.join(' UNION ALL '), parts.flatMap(() => parameters)];
  }

  private async events(ids: string, parameters: Parameters, order: string): Promise<readonly EventRecord[]> {
    const rows = await this.rows('o.*', ids, parameters, order);
    return rows.map((row) => toEventRecord(readRow(row) as OutboxTableRow));
  }

  private rows(columns: string, ids: string, parameters: Parameters, order: string): Promise<readonly object[]> {
    return queryAlone<object>(
      this.dataSource,
      `SELECT ${columns} FROM (${ids}) AS found STRAIGHT_JOIN ${this.table} AS o ON o.id = found.id ${order}`,
      parameters,
    );
  }
}

interface PastEventRow {
  readonly id: Buffer;
  readonly status: OutboxStatus;
  readonly created_at: string;
  readonly due_at: string | null;
  readonly consumers: string;
  readonly outcomes: string;
}

interface DeadRow {
  readonly id: string;
  readonly type: string;
  readonly event_key: string | null;
  readonly reason: string | null;
  readonly outcomes: Readonly<Record<string, StoredOutcome>>;
  readonly ended_at: Date;
  readonly compensated_at: Date | null;
}
