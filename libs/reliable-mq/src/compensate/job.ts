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
   */
  run(progress: (count: number) => void, stop: AbortSignal): Promise<void>;
}
