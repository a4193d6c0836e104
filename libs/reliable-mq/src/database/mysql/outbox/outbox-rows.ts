import type { DataSource, QueryRunner } from 'typeorm';
import type { OutboxStatus } from '../../../outbox/outbox.entity';
import { inRuns, rowsOfValues } from '../rows-of-values';
import { serverOf } from '../server';
import { queryOn, writeOn } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { NOW, toBinary, toUuid } from '../values';

export interface LockedRow {
  readonly id: Buffer;
  readonly status: OutboxStatus;
  /** The database's clock. */
  readonly locked_at: string;
}

/**
 * Rows of the outbox by primary key, in a transaction of ours. By no other index, however few rows the table has: InnoDB locks what it looks
 * at, and a scan would lock them all.
 */
export class OutboxRows {
  constructor(
    private readonly dataSource: DataSource,
    private readonly own: QueryRunner,
  ) {}

  /** Those of the events that are there, and how they stand; no lock is waited for. */
  async statuses(ids: readonly string[]): Promise<ReadonlyMap<string, OutboxStatus>> {
    const sql = `SELECT id, status FROM ${byKey(this.dataSource)} WHERE id IN (?)`;
    const rows = await queryOn<{ id: Buffer; status: OutboxStatus }>(this.own, sql, [ids.map(toBinary)]);
    return new Map(rows.map(({ id, status }) => [toUuid(id), status]));
  }

  /**
   * In the order of their ids, as they are when they are locked.
   * @param waits or whether rows that another transaction holds are left out
   */
  async lock<Row extends LockedRow>(ids: readonly string[], columns: string, waits: boolean): Promise<readonly Row[]> {
    if (ids.length === 0) return [];
    const sql = `SELECT id, status, ${NOW} AS locked_at, ${columns} FROM ${byKey(this.dataSource)} WHERE id IN (?)
      ORDER BY id FOR UPDATE${waits ? '' : ' SKIP LOCKED'}`;
    return queryOn<Row>(this.own, sql, [ids.map(toBinary)]);
  }

  /**
   * Change rows that are locked, each in its own way: one UPDATE for as many as its text may hold.
   * @param columns of `v`, the first of which is `id`
   * @param assignments to `o`. They read of `o` only what they assign to: in an UPDATE of two tables their order is nobody's promise.
   */
  async write(columns: readonly string[], values: readonly (readonly unknown[])[], assignments: string): Promise<void> {
    const { outbox } = sqlNamesOf(this.dataSource);
    // A character takes two bytes where it is escaped.
    for (const run of inRuns(values, bytesOf, serverOf(this.dataSource).maxStatementBytes / 2)) {
      const sql = `UPDATE ${rowsOfValues(columns, run.length)} AS v STRAIGHT_JOIN ${outbox} AS o ON o.id = v.id SET ${assignments}`;
      await writeOn(this.own, sql, run.flat());
    }
  }
  /** Delete rows that are locked. A DELETE with `id IN (…)` may scan the table instead, whatever index it is told to use. */
  async delete(ids: readonly Buffer[]): Promise<void> {
    if (ids.length === 0) return;
    const { outbox } = sqlNamesOf(this.dataSource);
    const sql = `DELETE o FROM ${rowsOfValues(['id'], ids.length)} AS v STRAIGHT_JOIN ${outbox} AS o ON o.id = v.id`;
    await writeOn(this.own, sql, ids);
  }
}

export function byKey(dataSource: DataSource): string {
  return `${sqlNamesOf(dataSource).outbox} FORCE INDEX (PRIMARY)`;
}

function bytesOf(values: readonly unknown[]): number {
  return values.reduce<number>((sum, value) => sum + (typeof value === 'string' ? Buffer.byteLength(value) : 20), 0);
}
