import type { StoreSet } from '../database/stores';
import type { JobName } from '../event/hooks';

/**
 * Takes notice of a batch.
 * @param count rows
 * @param overdueMs of claimed rows: how long the one that had waited longest had been due, in milliseconds
 */
export type ReportBatch = (count: number, overdueMs?: number) => void;

/** Reports rows that were claimed. */
export function reportClaimed(report: ReportBatch, claimed: readonly { readonly overdueMs: number }[]): void {
  report(
    claimed.length,
    claimed.reduce((most, { overdueMs }) => Math.max(most, overdueMs), 0),
  );
}

/** What a run of a job did. */
export interface JobRun {
  readonly job: JobName;
  /** Name of the DataSource whose rows it looked after. */
  readonly dataSource: string;
  /** Rows that it took up: what it published, chased, compensated or retried, or deleted. */
  readonly count: number;
  /** In milliseconds. */
  readonly durationMs: number;
  /** What it failed at, if it did; the next run tries again. */
  readonly error?: string;
  /** Why it was not run, if it was not. */
  readonly skipped?: string;
}

/** One job of the compensation task. It runs once at a time for each DataSource. */
export interface Job {
  readonly name: JobName;
  /** Whether it would be of use now; a job that needs the broker says no while the broker is away. */
  ready(set: StoreSet): boolean;
  /**
   * Do all that is due.
   * @param set the DataSource whose rows it looks after
   * @param report call it after each batch
   * @param stop aborted when nothing more may be begun
   */
  run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void>;
  /** The process can't wait any longer: roll back what runs. */
  cutOff?(): void;
}

/** Injection token of the jobs that this application's halves need. */
export const JOBS = Symbol('ReliableMq:Jobs');
