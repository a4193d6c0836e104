import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { dataSourceOf } from '../database/data-source-of';
import { depthOf } from '../database/transaction-depth';
import type { CommittedEvent } from './committed-event';
import { CommittedEvents } from './committed-events';

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

/** Statements that end or undo (a part of) a transaction, when an application writes them itself. */
const TRANSACTION_CONTROL = /\b(savepoint|rollback|commit|abort|prepare\s+transaction)\b|^\s*end\b/i;
/** TypeORM's own, which its hooks report. */
const TYPEORM_SAVEPOINT = /^(RELEASE |ROLLBACK TO )?SAVEPOINT typeorm_\d+$/;

/**
 * Remembers which events each open transaction has recorded, follows it through savepoints, and hands them over once, when
 * the outermost transaction has committed. An event that was rolled back must never be handed over: the table does not have it.
 *
 * TypeORM calls `afterTransactionCommit` at the release of a savepoint too, awaits it, and lets what it throws make a
 * committed transaction look failed: there nothing is awaited or throws.
 */
@Injectable()
export class CommitTracker {
  private readonly subscribers = new WeakMap<DataSource, EntitySubscriberInterface>();
  private readonly pending = new WeakMap<QueryRunner, Pending>();
  private readonly recording = new WeakMap<QueryRunner, Set<Promise<unknown>>>();
  private readonly rolledBack = new WeakSet<QueryRunner>();

  constructor(@Inject(CommittedEvents) private readonly committedEvents: Pick<CommittedEvents, 'handOver'>) {}

  /** Follow the DataSource's transactions. Call it again at will: a DataSource that is initialized anew forgets its subscribers. */
  attach(dataSource: DataSource): void {
    let subscriber = this.subscribers.get(dataSource);
    if (!subscriber) {
      subscriber = {
        beforeTransactionCommit: ({ queryRunner }) => this.allRecorded(queryRunner),
        beforeTransactionRollback: ({ queryRunner }) => this.noneRecording(queryRunner),
        afterTransactionCommit: ({ queryRunner }) => this.committed(dataSource, queryRunner),
        afterTransactionRollback: ({ queryRunner }) => this.dropAbove(queryRunner),
        afterQuery: ({ queryRunner, query, rawResults }) => this.watch(queryRunner, query, rawResults),
      };
      this.subscribers.set(dataSource, subscriber);
    }
    if (!dataSource.subscribers.includes(subscriber)) dataSource.subscribers.push(subscriber);
  }

  /**
   * Let the query runner's transaction (or savepoint) not end before this recording has. Without it an event whose recording
   * nobody awaits could be inserted behind the COMMIT or ROLLBACK, in no transaction at all. If it fails, so does the commit.
   */
  whileRecording<T>(queryRunner: QueryRunner, record: () => Promise<T>): Promise<T> {
    this.attach(dataSourceOf(queryRunner));
    const recording = this.recording.get(queryRunner) ?? new Set();
    this.recording.set(queryRunner, recording);
    const work = record();
    recording.add(work);
    const end = (): void => void recording.delete(work);
    work.then(end, end);
    return work;
  }

  /** Remember events whose rows were inserted in the query runner's open transaction. */
  add(queryRunner: QueryRunner, events: readonly CommittedEvent[]): void {
    const pending = this.pending.get(queryRunner) ?? { recorded: [], doubtful: false };
    const depth = depthOf(queryRunner);
    for (const event of events) pending.recorded.push({ event, depth });
    this.pending.set(queryRunner, pending);
  }

  /** Waits for every recording, and fails with the first that fails. */
  allRecorded(queryRunner: QueryRunner): Promise<unknown> | undefined {
    const recording = this.recording.get(queryRunner);
    return recording && recording.size > 0 ? Promise.all(recording) : undefined;
  }

  /** Whether the last commit of this query runner was answered with a rollback. */
  wasRolledBack(queryRunner: QueryRunner): boolean {
    return this.rolledBack.has(queryRunner);
  }

  /** Waits for every recording, however it ends. */
  private noneRecording(queryRunner: QueryRunner): Promise<unknown> | undefined {
    const recording = this.recording.get(queryRunner);
    return recording && recording.size > 0 ? Promise.allSettled(recording) : undefined;
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
    this.committedEvents.handOver({
      dataSource,
      events: pending.recorded.map(({ event }) => event),
      doubtful: pending.doubtful,
    });
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
   * transaction had failed; and applications may write
   * `SAVEPOINT` or `ROLLBACK` themselves.
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
    if (pending && !pending.doubtful) {
      pending.doubtful = TRANSACTION_CONTROL.test(query) && !TYPEORM_SAVEPOINT.test(query);
    }
  }
}
