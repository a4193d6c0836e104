import type { DataSource, QueryRunner } from 'typeorm';
import { type ClaimableQueue, type ClaimedInboxRow, type InboxKey, type Pruned } from '../../inbox/inbox.store';
import { type ClaimedTableRow, toClaimedInboxRow } from '../inbox-rows';
import { rowsOfKeys } from './rows-of-keys';
import { readRow } from './rows';
import { inOwnTransaction, type Parameters, queryAlone, queryOn, writeOn } from './sql';
import { sqlNamesOf } from './sql-names';
import { FROM_NOW, microseconds, millisecondsBetween, NOW, toBinary } from './values';

export const CLAIMED_COLUMNS =
  'event_id, consumer, type, version, attempts, unfinished_starts, body, body_hash, properties, redrives, event_key';

/** Keys of rows that one statement deletes. */
const MAX_DELETED_ROWS = 500;
const HOUR_MS = 3_600_000;

interface DueRow {
  readonly event_id: string;
  readonly due_at: string;
  readonly overdue_ms: string;
}

/**
 * What takes rows of the inbox by their due time, the version that they wait for, or their end.
 *
 * First a look without locks: mostly nothing is due. Then the rows are locked in the order of an index that is named, since a sort would lock each row that
 * it has read, and by ranges of its columns, since the rows that have ended stand in it too. Locked rows are skipped.
 */
export class InboxClaims {
  constructor(private readonly dataSource: DataSource) {}

  private get table(): string {
    return sqlNamesOf(this.dataSource).inbox;
  }

  /** By no other index, however few rows the table has: InnoDB locks what it looks at. */
  private get byKey(): string {
    return `${this.table} FORCE INDEX (PRIMARY)`;
  }

  private from(index: 'due' | 'waiting' | 'ended'): string {
    return `${this.table} FORCE INDEX (${sqlNamesOf(this.dataSource).index('inbox', index)})`;
  }

  async claim(
    queues: readonly ClaimableQueue[],
    limit: number,
    token: string,
    which: 'suspects' | 'others',
  ): Promise<readonly ClaimedInboxRow[]> {
    const due = await this.those(queues, 'due', (queue) => dueIn(queue, which));
    if (due.length === 0 || limit === 0) return [];
    return inOwnTransaction(this.dataSource, async (own) => {
      const found: { readonly queue: ClaimableQueue; readonly row: DueRow }[] = [];
      for (const queue of due) {
        for (const row of await this.lock(own, queue, which)) found.push({ queue, row });
      }
      const oldest = found.toSorted((a, b) => (a.row.due_at < b.row.due_at ? -1 : 1)).slice(0, limit);
      const claimed: ClaimedInboxRow[] = [];
      for (const queue of due) {
        const rows = oldest.filter((taken) => taken.queue === queue).map(({ row }) => row);
        if (rows.length > 0) claimed.push(...(await this.take(own, queue, rows, token)));
      }
      return claimed.toSorted((a, b) => b.overdueMs - a.overdueMs);
    });
  }

  private lock(own: QueryRunner, queue: ClaimableQueue, which: 'suspects' | 'others'): Promise<DueRow[]> {
    const [condition, parameters] = dueIn(queue, which);
    return queryOn<DueRow>(
      own,
      `SELECT event_id, due_at, ${millisecondsBetween('due_at', NOW)} AS overdue_ms FROM ${this.from('due')}
       WHERE ${condition} ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED`,
      [...parameters, queue.limit],
    );
  }

  private async take(
    own: QueryRunner,
    { consumer, type, leaseMs }: ClaimableQueue,
    due: readonly DueRow[],
    token: string,
  ): Promise<readonly ClaimedInboxRow[]> {
    const these = 'event_id IN (?) AND consumer = ? AND type = ?';
    const parameters = [due.map(({ event_id }) => event_id), consumer, type];
    await writeOn(own, `UPDATE ${this.byKey} SET due_at = ${FROM_NOW}, claim_token = ? WHERE ${these}`, [
      microseconds(leaseMs),
      toBinary(token),
      ...parameters,
    ]);
    const overdue = new Map(due.map(({ event_id, overdue_ms }) => [event_id, Number(overdue_ms)]));
    const rows = await queryOn<object>(own, `SELECT ${CLAIMED_COLUMNS} FROM ${this.byKey} WHERE ${these}`, parameters);
    return rows.map((raw) => {
      const row = readRow(raw) as ClaimedTableRow;
      return toClaimedInboxRow(row, overdue.get(row.event_id) ?? 0);
    });
  }

  async queuesWithSuspects(queues: readonly ClaimableQueue[]): Promise<readonly Pick<InboxKey, 'consumer' | 'type'>[]> {
    const found = await this.those(queues, 'due', (queue) => dueIn(queue, 'suspects'), false);
    return found.map(({ consumer, type }) => ({ consumer, type }));
  }

  async wakeWaiting(queues: readonly ClaimableQueue[], limit: number): Promise<number> {
    const waiting = await this.those(queues, 'waiting', waitingIn, false);
    if (waiting.length === 0) return 0;
    return inOwnTransaction(this.dataSource, async (own) => {
      let woken = 0;
      for (const queue of waiting) {
        const [condition, parameters] = waitingIn(queue);
        const rows = await queryOn<{ event_id: string }>(
          own,
          `SELECT event_id FROM ${this.from('waiting')} WHERE ${condition} LIMIT ? FOR UPDATE SKIP LOCKED`,
          [...parameters, limit - woken],
        );
        if (rows.length === 0) continue;
        woken += await writeOn(
          own,
          `UPDATE ${this.byKey} SET due_at = ${NOW} WHERE event_id IN (?) AND consumer = ? AND type = ?`,
          [rows.map(({ event_id }) => event_id), queue.consumer, queue.type],
        );
        if (woken >= limit) break;
      }
      return woken;
    });
  }

  async prune(olderThanHours: number, limit: number, endedFrom?: string): Promise<Pruned> {
    return inOwnTransaction(this.dataSource, async (own) => {
      const ended = await queryOn<{ event_id: string; consumer: string; type: string; ended_at: string }>(
        own,
        `SELECT event_id, consumer, type, ended_at FROM ${this.from('ended')}
         WHERE ended_at < ${NOW} - INTERVAL ? MICROSECOND AND ended_at >= ? ORDER BY ended_at LIMIT ? FOR UPDATE SKIP LOCKED`,
        [microseconds(olderThanHours * HOUR_MS), endedFrom ?? '1000-01-01', limit],
      );
      for (let from = 0; from < ended.length; from += MAX_DELETED_ROWS) {
        const some = ended.slice(from, from + MAX_DELETED_ROWS);
        const keys = some.flatMap((row) => [row.event_id, row.consumer, row.type]);
        await writeOn(own, `DELETE i FROM ${rowsOfKeys(this.dataSource, some.length)}`, keys);
      }
      return { count: ended.length, lastEndedAt: ended.at(-1)?.ended_at };
    });
  }

  /** Those of the queues that have such a row: one probe of the index for each. */
  private async those(
    queues: readonly ClaimableQueue[],
    index: 'due' | 'waiting',
    condition: (queue: ClaimableQueue) => Condition,
    withRoom = true,
  ): Promise<readonly ClaimableQueue[]> {
    const asked = withRoom ? queues.filter(({ limit }) => limit > 0) : queues;
    if (asked.length === 0) return [];
    const conditions = asked.map(condition);
    const probes = conditions.map(([sql], n) => `(SELECT ${n} AS n FROM ${this.from(index)} WHERE ${sql} LIMIT 1)`);
    const found = await queryAlone<{ n: string }>(
      this.dataSource,
      probes.join(' UNION ALL '),
      conditions.flatMap(([, parameters]) => parameters),
    );
    return found.flatMap(({ n }) => asked[Number(n)] ?? []);
  }
}

type Condition = readonly [sql: string, parameters: Parameters];

/** Due, and of a version that is handled here, or for which the wait is over. */
function dueIn({ consumer, type, versions, waitMs }: ClaimableQueue, which: 'suspects' | 'others'): Condition {
  return [
    `consumer = ? AND type = ? AND suspect = ${which === 'suspects'} AND due_at <= ${NOW}
     AND (version IN (?) OR received_at < ${NOW} - INTERVAL ? MICROSECOND)`,
    [consumer, type, listOf(versions), microseconds(waitMs)],
  ];
}

/** Waiting for a version that is handled here, and neither due nor claimed. */
function waitingIn({ consumer, type, versions }: ClaimableQueue): Condition {
  return [
    `consumer = ? AND type = ? AND awaited_version IN (?) AND due_at > ${NOW} AND claim_token IS NULL`,
    [consumer, type, listOf(versions)],
  ];
}

/** An empty list is no SQL. */
function listOf(values: readonly number[]): readonly (number | null)[] {
  return values.length > 0 ? values : [null];
}
