import type { DataSource, QueryRunner } from 'typeorm';
import { headersWithBackfill } from '../../../event/backfill';
import type { InboxKey } from '../../../inbox/inbox.store';
import type { StoredOutcome } from '../../../outbox/outbox.entity';
import type { Audit } from '../../audit';
import type { HandlingKey, HandlingState, Replacement } from '../../operations.store';
import { byKey, type LockedRow, OutboxRows } from '../outbox/outbox-rows';
import { rowsOfKeys } from '../rows-of-keys';
import { inOwnTransaction, queryAlone, queryOn, writeOn } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { NOW, toBinary, toUuid } from '../values';
import type { Audits } from './audits';

/** Nobody works on the row at this moment: a compensation that runs holds an unexpired claim. */
const IS_FREE = `(claim_token IS NULL OR due_at <= ${NOW})`;
const IS_DEAD = `status = 'dead' AND ${IS_FREE}`;

/**
 * What people change, with its row in the audit. What waits for rows locks them in the order of their keys, and has looked before whether they are to be
 * changed: InnoDB locks what it looks at, and a compensation handler's transaction holds its dead row for as long as it runs.
 */
export class Changes {
  constructor(
    private readonly dataSource: DataSource,
    private readonly audits: Audits,
  ) {}

  /** What consumers have reported `handled` since the event died stays; when that is all of them, the event is consumed. */
  redrive(eventIds: readonly string[], evenIfCompensated: boolean, audit: Audit): Promise<readonly string[]> {
    const condition = `${IS_DEAD} AND (compensated_at IS NULL OR ${evenIfCompensated})`;
    return this.changing(eventIds, condition, audit, 'consumers, outcomes, confirm', async (rows, found) => {
      const values = (found as readonly DeadRow[]).map((row) => {
        const { isComplete, outcomes } = judge(row);
        return [row.id, isComplete, JSON.stringify(outcomes), row.outcomes !== '{}'];
      });
      await rows.write(
        ['id', 'is_complete', 'outcomes', 'was_published'],
        values,
        `o.status = IF(v.is_complete, 'consumed', 'pending'), o.due_at = IF(v.is_complete, NULL, ${NOW}),
         o.ended_at = IF(v.is_complete, ${NOW}, NULL), o.reason = IF(v.is_complete, NULL, 'redriven by hand'),
         o.published_at = IF(v.was_published, o.published_at, NULL), o.attempts = 0, o.claim_token = NULL,
         o.redrives = o.redrives + 1, o.compensated_at = NULL, o.compensation_attempts = 0, o.archived_at = NULL,
         o.outcomes = v.outcomes`,
      );
    });
  }

  discard(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    return this.changing(eventIds, IS_DEAD, audit, '1', (rows, found) => rows.delete(found.map(({ id }) => id)));
  }

  archive(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    const condition = `${IS_DEAD} AND archived_at IS NULL`;
    return this.changing(eventIds, condition, audit, '1', (rows, found) =>
      rows.write(
        ['id'],
        found.map(({ id }) => [id]),
        `o.archived_at = ${NOW}`,
      ),
    );
  }

  async replace(eventId: string, by: Replacement, evenIfCompensated: boolean, audit: Audit): Promise<boolean> {
    const condition = `${IS_DEAD} AND archived_at IS NULL AND (compensated_at IS NULL OR ${evenIfCompensated})`;
    const insert = `INSERT INTO ${sqlNamesOf(this.dataSource).outbox}
      (due_at, status, attempts, created_at, history, outcomes, id, type, version, payload, payload_bytes, headers, consumers, confirm, event_key,
       causation_id)
      SELECT ${NOW}, 'pending', 0, ${NOW}, '[]', '{}', ?, type, version, ?, ?, headers, consumers, confirm, event_key, id
      FROM ${byKey(this.dataSource)} WHERE id = ?`;
    const replaced = await this.changing(
      [eventId],
      condition,
      audit,
      '1',
      async (rows, found, own) => {
        const values = [toBinary(by.id), by.payload, Buffer.byteLength(by.payload), toBinary(eventId)];
        await writeOn(own, insert, values);
        const ids = found.map(({ id }) => [id]);
        await rows.write(['id'], ids, `o.archived_at = ${NOW}, o.due_at = NULL, o.claim_token = NULL`);
      },
      { item: (id) => ({ eventId: id, replacedBy: by.id }) },
    );
    return replaced.length === 1;
  }

  sendAgain(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    const condition = `confirm AND status IN ('published', 'consumed') AND ${IS_FREE}`;
    return this.changing(eventIds, condition, audit, 'outcomes', async (rows, found) => {
      const values = (found as readonly DeadRow[]).map(({ id, outcomes }) => {
        const kept = Object.entries(JSON.parse(outcomes) as object).filter(([name]) => name !== consumer);
        return [id, JSON.stringify(Object.fromEntries(kept))];
      });
      await rows.write(
        ['id', 'outcomes'],
        values,
        `o.status = 'published', o.outcomes = v.outcomes, o.attempts = 0, o.due_at = ${NOW}, o.claim_token = NULL, o.ended_at = NULL,
         o.reason = 'sent again by hand'`,
      );
    });
  }

  backfill(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    const condition = `due_at IS NULL AND status IN ('consumed', 'published')`;
    const columns = 'consumers, outcomes, headers';
    const change = (rows: OutboxRows, found: readonly LockedRow[]): Promise<void> =>
      rows.write(
        ['id', 'consumers', 'headers'],
        (found as readonly PastRow[]).map((row) => backfilled(row, consumer)),
        `o.status = 'published', o.confirm = TRUE, o.attempts = 0, o.due_at = ${NOW}, o.claim_token = NULL, o.ended_at = NULL,
         o.reason = 'sent to a new consumer by hand', o.consumers = v.consumers, o.headers = v.headers`,
      );
    const matches = (row: LockedRow): boolean => !isKnownTo(consumer, row as PastRow);
    return this.changing(eventIds, condition, audit, columns, change, { matches });
  }

  /** Lock those of the events for which the condition holds, and change them. @returns their ids */
  private async changing(
    eventIds: readonly string[],
    condition: string,
    audit: Audit,
    columns: string,
    change: (rows: OutboxRows, found: readonly LockedRow[], own: QueryRunner) => Promise<void>,
    {
      matches = () => true,
      item = (id) => id,
    }: { readonly matches?: (row: LockedRow) => boolean; readonly item?: (id: string) => unknown } = {},
  ): Promise<readonly string[]> {
    if (eventIds.length === 0) return [];
    const isMeant = `(${condition})`;
    return inOwnTransaction(this.dataSource, async (own) => {
      const candidates = await queryOn<{ id: Buffer }>(
        own,
        `SELECT id FROM ${byKey(this.dataSource)} WHERE id IN (?) AND ${isMeant}`,
        [eventIds.map(toBinary)],
      );
      const rows = new OutboxRows(this.dataSource, own);
      const locked = await rows.lock<LockedRow & { readonly is_meant: string }>(
        candidates.map(({ id }) => toUuid(id)),
        `${columns}, ${isMeant} AS is_meant`,
        true,
      );
      const found = locked.filter((row) => row.is_meant === '1' && matches(row));
      if (found.length === 0) return [];
      await change(rows, found, own);
      const changed = found.map(({ id }) => toUuid(id));
      await this.audits.write(own, audit, changed.map(item));
      return changed;
    });
  }

  async retryInbox(keys: readonly HandlingKey[], audit: Audit): Promise<readonly InboxKey[]> {
    const isMeant = `(status <> 'handled' AND ${IS_FREE})`;
    return inOwnTransaction(this.dataSource, async (own) => {
      const candidates = await this.handlings(own, keys, `AND ${isMeant}`);
      if (candidates.length === 0) return [];
      const locked = await queryOn<InboxKey & { readonly is_meant: string }>(
        own,
        `SELECT event_id AS eventId, consumer, type, ${isMeant} AS is_meant FROM ${sqlNamesOf(this.dataSource).inbox} FORCE INDEX (PRIMARY)
         WHERE (event_id, consumer, type) IN (?) ORDER BY event_id, consumer, type FOR UPDATE`,
        [candidates.map(({ eventId, consumer, type }) => [eventId, consumer, type])],
      );
      const retried = locked
        .filter(({ is_meant }) => is_meant === '1')
        .map(({ eventId, consumer, type }) => ({ eventId, consumer, type }));
      if (retried.length === 0) return [];
      const these = rowsOfKeys(this.dataSource, retried.length);
      const values = retried.flatMap(({ eventId, consumer, type }) => [eventId, consumer, type]);
      await writeOn(
        own,
        `UPDATE ${these} SET i.attempts = IF(i.status = 'failed', i.attempts, 0), i.unfinished_starts = 0,
           i.due_at = ${NOW}, i.claim_token = NULL, i.ended_at = NULL`,
        values,
      );
      // By itself: the order of assignments in an UPDATE of two tables is nobody's promise.
      await writeOn(own, `UPDATE ${these} SET i.status = 'failed' WHERE i.status <> 'waiting'`, values);
      await this.audits.write(own, audit, retried);
      return retried;
    });
  }

  /**
   * How handlings stand: by the events' ids, of which there are few handlings each; then those that are meant.
   * @param own undefined: on a connection of its own
   */
  async handlings(
    own: QueryRunner | undefined,
    keys: readonly HandlingKey[],
    condition = '',
  ): Promise<readonly HandlingState[]> {
    if (keys.length === 0) return [];
    const sql = `SELECT event_id AS eventId, consumer, type, status FROM ${sqlNamesOf(this.dataSource).inbox} FORCE INDEX (PRIMARY)
      WHERE event_id IN (?) ${condition}`;
    const parameters = [keys.map(({ eventId }) => eventId)];
    const rows = own
      ? await queryOn<HandlingState>(own, sql, parameters)
      : await queryAlone<HandlingState>(this.dataSource, sql, parameters);
    const nameOf = ({ eventId, consumer, type }: HandlingKey): string =>
      JSON.stringify([eventId, consumer, type ?? null]);
    const meant = new Set(keys.map(nameOf));
    return rows.filter((row) => {
      const { eventId, consumer } = row;
      return meant.has(nameOf(row)) || meant.has(nameOf({ eventId, consumer }));
    });
  }
}

interface DeadRow extends LockedRow {
  readonly consumers: string;
  readonly outcomes: string;
  readonly confirm: string;
}

/** What tells whom an event was for, and who has reported on it: JSON. */
export interface PastRow extends LockedRow {
  readonly consumers: string;
  readonly outcomes: string;
  readonly headers: string | null;
}

/** Whether the consumer is declared, or has reported something. */
export function isKnownTo(consumer: string, { consumers, outcomes }: Pick<PastRow, 'consumers' | 'outcomes'>): boolean {
  return (
    (JSON.parse(consumers) as readonly string[]).includes(consumer) ||
    Object.hasOwn(JSON.parse(outcomes) as object, consumer)
  );
}

/** Id, consumers and headers of an event that is sent to one more. */
function backfilled({ id, consumers, outcomes, headers }: PastRow, consumer: string): readonly unknown[] {
  const all = Object.entries(JSON.parse(outcomes) as Record<string, StoredOutcome>);
  const declared = JSON.parse(consumers) as readonly string[];
  const handled = all.filter(([, { outcome }]) => outcome === 'handled').map(([name]) => name);
  const known = headers === null ? null : (JSON.parse(headers) as Record<string, unknown>);
  return [
    id,
    JSON.stringify([...(declared.length > 0 ? declared : handled), consumer]),
    JSON.stringify(headersWithBackfill(known, consumer)),
  ];
}

/** @returns whether everybody has handled the event since it died, and what stays of the outcomes */
function judge(row: DeadRow): { isComplete: boolean; outcomes: Readonly<Record<string, StoredOutcome>> } {
  const consumers = JSON.parse(row.consumers) as readonly string[];
  const all = Object.entries(JSON.parse(row.outcomes) as Record<string, StoredOutcome>);
  const handled = all.filter(([, { outcome }]) => outcome === 'handled');
  const by = new Set(handled.map(([consumer]) => consumer));
  const isComplete = consumers.length === 0 ? by.size > 0 : consumers.every((consumer) => by.has(consumer));
  return { isComplete: row.confirm === '1' && isComplete, outcomes: Object.fromEntries(handled) };
}
