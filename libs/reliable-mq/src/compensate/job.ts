import type { JobName } from '../domain/hooks';

/** One job of the compensation task. */
export interface Job {
  readonly name: JobName;
  /** Name of the DataSource whose rows it looks after. */
  readonly dataSource: string;
  /** Whether it would be of use now; a job that needs the broker says no while the broker is away. */
  ready(): boolean;
  /**
   * Do all that is due.
   * @param progress call it after each batch
   * @param stop aborted when nothing more may be begun
   */
  run(progress: (count: number) => void, stop: AbortSignal): Promise<void>;
  /** The process can't wait any longer: roll back what runs. */
  cutOff?(): void;
}
