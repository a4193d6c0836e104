import type { DataSource } from 'typeorm';
import type { OutboxStatus } from '../../../outbox/outbox.entity';
import { type InboxKind, MAX_LIMIT, type ReliableMqStatistics, STATISTICS_CAP } from '../../operations.store';
import { queryAlone } from '../sql';
import { sqlNamesOf } from '../sql-names';
import { NEEDS_PERSON } from './event-lists';
import { millisecondsBetween, NOW } from '../values';

/** Rows of one consumer and type that are due once; null: those that have ended. */
interface Lane {
  readonly consumer: string;
  readonly type: string;
  readonly overdue_ms: string | null;
}

type CountedStatistics = Pick<ReliableMqStatistics, 'outbox'> & {
  readonly inbox: Omit<ReliableMqStatistics['inbox'], 'paused'>;
};

/** What is counted of the tables, each count up to a bound, by indexes that are named. */
export class TableCounts {
  constructor(private readonly dataSource: DataSource) {}

  private from(role: 'outbox' | 'inbox', index: 'due' | 'status' | 'PRIMARY'): string {
    const names = sqlNamesOf(this.dataSource);
    return `${names.table(role)} FORCE INDEX (${index === 'PRIMARY' ? index : names.index(role, index)})`;
  }

  async statistics(): Promise<CountedStatistics> {
    const events = (condition: string): string => counted(this.from('outbox', 'due'), condition, STATISTICS_CAP);
    const handlings = (condition: string): string => counted(this.from('inbox', 'status'), condition, STATISTICS_CAP);
    const overdue = (status: OutboxStatus): string =>
      `COALESCE((SELECT ${millisecondsBetween('due_at', NOW)} FROM ${this.from('outbox', 'due')}
         WHERE status = '${status}' AND due_at <= ${NOW} ORDER BY due_at LIMIT 1), 0)`;
    const [row] = await queryAlone<Record<string, string>>(
      this.dataSource,
      `SELECT ${events("status = 'pending' AND due_at IS NOT NULL")} AS pending,
         ${events("status = 'published' AND due_at IS NOT NULL")} AS published,
         ${events("status = 'dead'")} AS dead,
         ${events("status = 'dead' AND due_at IS NOT NULL")} AS compensating,
         ${events("status = 'dead' AND compensated_at IS NOT NULL")} AS compensated,
         ${events(`status = 'dead' AND ${NEEDS_PERSON}`)} AS need_person,
         GREATEST(${overdue('pending')}, ${overdue('published')}, ${overdue('dead')}) AS overdue_ms,
         ${counted(this.from('outbox', 'PRIMARY'), 'TRUE', STATISTICS_CAP)} AS outbox_rows,
         ${handlings("status IN ('failed', 'waiting')")} AS failed,
         ${handlings("status = 'rejected'")} AS rejected,
         ${handlings("status = 'dead'")} AS inbox_dead,
         ${counted(this.from('inbox', 'PRIMARY'), 'TRUE', STATISTICS_CAP)} AS inbox_rows`,
    );
    const value = (name: string): number => Number(row?.[name] ?? 0);
    const lanes = await this.lanes();
    return {
      outbox: {
        pending: value('pending'),
        published: value('published'),
        dead: value('dead'),
        compensating: value('compensating'),
        compensated: value('compensated'),
        needPerson: value('need_person'),
        oldestOverdueMs: value('overdue_ms'),
        estimatedRows: await this.estimatedRows('outbox', value('outbox_rows')),
      },
      inbox: {
        failed: value('failed'),
        rejected: value('rejected'),
        dead: value('inbox_dead'),
        oldestOverdueMs: Math.max(0, ...lanes.map(({ overdue_ms }) => Number(overdue_ms ?? 0))),
        estimatedRows: await this.estimatedRows('inbox', value('inbox_rows')),
      },
    };
  }

  async kinds(): Promise<readonly InboxKind[]> {
    const kinds = new Map<string, { consumer: string; type: string; overdueMs: number | undefined }>();
    for (const { consumer, type, overdue_ms } of await this.lanes()) {
      const name = JSON.stringify([consumer, type]);
      const known = kinds.get(name)?.overdueMs;
      const own = overdue_ms === null ? undefined : Number(overdue_ms);
      kinds.set(name, { consumer, type, overdueMs: own === undefined ? known : Math.max(own, known ?? own) });
    }
    const unfinished = [...kinds.values()].filter(({ overdueMs }) => overdueMs !== undefined);
    const counts = await this.unfinishedOf(unfinished);
    return [...kinds.values()].map((kind) => ({
      consumer: kind.consumer,
      type: kind.type,
      unfinished: counts[unfinished.indexOf(kind)] ?? 0,
      overdueMs: kind.overdueMs ?? 0,
    }));
  }

  /** Of each consumer and type the row that is due first: the index is asked once for each, and not read. */
  private lanes(): Promise<readonly Lane[]> {
    return queryAlone<Lane>(
      this.dataSource,
      `SELECT consumer, type, ${millisecondsBetween('MIN(due_at)', NOW)} AS overdue_ms FROM ${this.from('inbox', 'due')}
       GROUP BY consumer, type, suspect`,
    );
  }

  private async unfinishedOf(kinds: readonly { consumer: string; type: string }[]): Promise<readonly number[]> {
    if (kinds.length === 0) return [];
    const each = kinds.map((_, n) => {
      const of = 'consumer = ? AND type = ? AND suspect IN (FALSE, TRUE)';
      return `SELECT ${n} AS n, ${counted(this.from('inbox', 'due'), of, MAX_LIMIT)} AS unfinished`;
    });
    const rows = await queryAlone<{ n: string; unfinished: string }>(
      this.dataSource,
      each.join(' UNION ALL '),
      kinds.flatMap(({ consumer, type }) => [consumer, type]),
    );
    const counts = kinds.map(() => 0);
    for (const { n, unfinished } of rows) counts[Number(n)] = Number(unfinished);
    return counts;
  }

  /**
   * What InnoDB keeps of it in memory, as it plans by it: `information_schema.tables` of MySQL may be a day old.
   * @param counted up to the bound, below which it is exact
   */
  private async estimatedRows(role: 'outbox' | 'inbox', counted: number): Promise<number> {
    if (counted < STATISTICS_CAP) return counted;
    const table = sqlNamesOf(this.dataSource).table(role);
    const [plan] = await queryAlone<{ rows: string }>(
      this.dataSource,
      `EXPLAIN FORMAT = TRADITIONAL SELECT 1 FROM ${table}`,
    );
    return Math.max(counted, Number(plan?.rows ?? 0));
  }
}

/** SQL of how many rows there are, at most so many. */
function counted(from: string, condition: string, cap: number): string {
  return `(SELECT COUNT(*) FROM (SELECT 1 FROM ${from} WHERE ${condition} LIMIT ${cap}) AS counted)`;
}
