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

/** One job of the compensation task. */
export interface Job {
  readonly name: JobName;
  /** Name of the DataSource whose rows it looks after. */
  readonly dataSource: string;
  /** Whether it would be of use now; a job that needs the broker says no while the broker is away. */
  ready(): boolean;
  /**
   * Do all that is due.
   * @param report call it after each batch
   * @param stop aborted when nothing more may be begun
   */
  run(report: ReportBatch, stop: AbortSignal): Promise<void>;
  /** The process can't wait any longer: roll back what runs. */
  cutOff?(): void;
}
