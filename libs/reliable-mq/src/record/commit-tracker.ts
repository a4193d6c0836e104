import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import type { CommittedEvent } from './committed-event';

interface Recorded {
  readonly event: CommittedEvent;
  /** How many transactions (the outermost and its savepoints) were open on the query runner. */
  depth: number;
}

interface Pending {
  recorded: Recorded[];
  /** The application drove savepoints by SQL of its own, so only the table knows which rows are left. */
  doubtful: boolean;
}

/** What became of the events of a transaction that has committed. */
export interface Commit {
  readonly dataSource: DataSource;
  readonly events: readonly CommittedEvent[];
  /** True: ask the table which of them exist before any is published. */
  readonly doubtful: boolean;
}

/**
 * Remembers which events each open transaction has recorded, follows it through savepoints, and hands them over once, when
 * the outermost transaction has committed. An event that was rolled back must never be handed over: the table does not have it.
 *
 * TypeORM calls `afterTransactionCommit` at the release of a savepoint too, awaits it, and lets what it throws make a
 * committed transaction look failed: nothing here is awaited or throws.
 */
export class CommitTracker {
  private readonly pending = new WeakMap<QueryRunner, Pending>();
  private readonly rolledBack = new WeakSet<QueryRunner>();

  constructor(private readonly onCommit: (commit: Commit) => void) {}

  attach(dataSource: DataSource): void {
    const subscriber: EntitySubscriberInterface = {
      afterTransactionCommit: ({ queryRunner }) => this.committed(dataSource, queryRunner),
      afterTransactionRollback: ({ queryRunner }) => this.dropAbove(queryRunner),
      afterQuery: ({ queryRunner, query, rawResults }) => this.watch(queryRunner, query, rawResults),
    };
    dataSource.subscribers.push(subscriber);
  }

  /** Remember events whose rows were inserted in the query runner's open transaction. */
  add(queryRunner: QueryRunner, events: readonly CommittedEvent[]): void {
    const pending = this.pending.get(queryRunner) ?? { recorded: [], doubtful: false };
    const depth = depthOf(queryRunner);
    for (const event of events) pending.recorded.push({ event, depth });
    this.pending.set(queryRunner, pending);
  }

  /** Whether the last commit of this query runner was answered with a rollback. */
  wasRolledBack(queryRunner: QueryRunner): boolean {
    return this.rolledBack.has(queryRunner);
  }

  private committed(dataSource: DataSource, queryRunner: QueryRunner): void {
    const pending = this.pending.get(queryRunner);
    if (!pending) return;
    if (queryRunner.isTransactionActive) {
      const depth = depthOf(queryRunner);
      for (const recorded of pending.recorded) recorded.depth = Math.min(recorded.depth, depth);
      return;
    }
    this.pending.delete(queryRunner);
    if (this.rolledBack.has(queryRunner) || pending.recorded.length === 0) return;
    this.onCommit({ dataSource, events: pending.recorded.map(({ event }) => event), doubtful: pending.doubtful });
  }

  private dropAbove(queryRunner: QueryRunner): void {
    const pending = this.pending.get(queryRunner);
    if (!pending) return;
    if (!queryRunner.isTransactionActive) {
      this.pending.delete(queryRunner);
      return;
    }
    const depth = depthOf(queryRunner);
    pending.recorded = pending.recorded.filter((recorded) => recorded.depth <= depth);
  }

  /**
   * Two things that TypeORM does not see: PostgreSQL answers COMMIT with ROLLBACK, and no error, when a statement of the
   * transaction had failed; and applications may write `SAVEPOINT` or `ROLLBACK` themselves.
   */
  private watch(queryRunner: QueryRunner, query: string, rawResults: unknown): void {
    if (query === 'START TRANSACTION') {
      this.rolledBack.delete(queryRunner);
      this.pending.delete(queryRunner);
      return;
    }
    if (query === 'COMMIT') {
      if ((rawResults as { command?: string } | undefined)?.command === 'ROLLBACK') this.rolledBack.add(queryRunner);
      return;
    }
    const pending = this.pending.get(queryRunner);
    if (pending && !pending.doubtful && /\b(savepoint|rollback|commit|abort)\b|^\s*end\b/i.test(query)) {
      pending.doubtful = query !== 'ROLLBACK' && !/^(RELEASE |ROLLBACK TO )?SAVEPOINT typeorm_\d+$/.test(query);
    }
  }
}

/** TypeORM keeps the depth in a protected field of every query runner. */
function depthOf(queryRunner: QueryRunner): number {
  return (queryRunner as unknown as { transactionDepth?: number }).transactionDepth ?? 1;
}
