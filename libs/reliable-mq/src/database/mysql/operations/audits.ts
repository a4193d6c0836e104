import type { DataSource, QueryRunner } from 'typeorm';
import { newEventId } from '../../../event/event-id';
import { storableText } from '../../../event/storable';
import type { Audit, AuditRecord, OperationName, PausedQueue, QueueName } from '../../audit';
import { insertOnce } from '../insert-once';
import { readRow } from '../rows';
import { inOwnTransaction, queryAlone, writeOn } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { NOW, toBinary } from '../values';

/** What people have done, and the queues that they have paused. */
export class Audits {
  constructor(private readonly dataSource: DataSource) {}

  private get audit(): string {
    return sqlNamesOf(this.dataSource).table('audit');
  }

  private get paused(): string {
    return sqlNamesOf(this.dataSource).table('paused');
  }

  /** In the transaction of the change; nothing when nothing was changed. */
  async write(own: QueryRunner, audit: Audit, items: readonly unknown[]): Promise<void> {
    if (items.length === 0) return;
    const { runId, operation, by, why, filter } = audit;
    await writeOn(
      own,
      `INSERT INTO ${this.audit} (id, run_id, at, operation, done_by, why, filter, items, \`count\`)
       VALUES (?, ?, ${NOW}, ?, ?, ?, ?, ?, ?)`,
      [
        toBinary(newEventId()),
        toBinary(runId),
        operation,
        storableText(by),
        why === null ? null : storableText(why),
        filter && storableText(JSON.stringify(filter)),
        JSON.stringify(items),
        items.length,
      ],
    );
  }

  async list(before: string | undefined, limit: number): Promise<readonly AuditRecord[]> {
    const rows = await queryAlone<object>(
      this.dataSource,
      `SELECT * FROM ${this.audit} ${before === undefined ? '' : 'WHERE id < ?'} ORDER BY id DESC LIMIT ?`,
      [...(before === undefined ? [] : [toBinary(before)]), limit],
    );
    return rows.map((row) => {
      const { id, run_id, at, operation, done_by, why, filter, items, count } = readRow(row) as AuditRow;
      return { id, runId: run_id, at, operation, by: done_by, why, filter, items, count };
    });
  }

  pause({ consumer, type }: QueueName, audit: Audit): Promise<boolean> {
    const { by, why } = audit;
    return inOwnTransaction(this.dataSource, async (own) => {
      const isNew = await insertOnce(
        own,
        `INSERT INTO ${this.paused} (consumer, type, since, done_by, why) VALUES (?, ?, ${NOW}, ?, ?)`,
        [consumer, type, storableText(by), why === null ? null : storableText(why)],
        'since',
      );
      if (isNew) await this.write(own, audit, [{ consumer, type }]);
      return isNew;
    });
  }

  resume({ consumer, type }: QueueName, audit: Audit): Promise<boolean> {
    return inOwnTransaction(this.dataSource, async (own) => {
      const sql = `DELETE FROM ${this.paused} WHERE consumer = ? AND type = ?`;
      const wasPaused = (await writeOn(own, sql, [consumer, type])) === 1;
      if (wasPaused) await this.write(own, audit, [{ consumer, type }]);
      return wasPaused;
    });
  }

  async pausedQueues(): Promise<readonly PausedQueue[]> {
    const rows = await queryAlone<object>(
      this.dataSource,
      `SELECT consumer, type, since, done_by, why FROM ${this.paused} ORDER BY consumer, type`,
    );
    return rows.map((row) => {
      const { consumer, type, since, done_by, why } = readRow(row) as PausedRow;
      return { consumer, type, since, by: done_by, why };
    });
  }
}

interface AuditRow {
  readonly id: string;
  readonly run_id: string;
  readonly at: Date;
  readonly operation: OperationName;
  readonly done_by: string;
  readonly why: string | null;
  readonly filter: Readonly<Record<string, unknown>> | null;
  readonly items: readonly unknown[];
  readonly count: number;
}

interface PausedRow extends QueueName {
  readonly since: Date;
  readonly done_by: string;
  readonly why: string | null;
}
