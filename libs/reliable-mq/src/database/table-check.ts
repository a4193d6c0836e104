import { describeError } from '../event/errors';
import { createLog } from '../log/log';

/** Rows that are not found where they must be are a reason to look again, but not all the time. */
const SUSPECTED_AGAIN_MS = 60_000;

/** Keeps what the latest look at the library's tables has found, and tells what is news. */
export class TableCheck {
  private readonly logger = createLog();
  private found: readonly string[] = [];
  private suspectedAt = Number.NEGATIVE_INFINITY;

  /**
   * @param name of the DataSource, for the log
   * @param look whether this application's user may see and change all rows: each obstacle as a sentence with what to do
   */
  constructor(
    private readonly name: string,
    private readonly look: () => Promise<readonly string[]>,
  ) {}

  /** What the last look has found, each as a sentence with what to do. */
  get problems(): readonly string[] {
    return this.found;
  }

  /** @returns the problems, which are in the log if they are news */
  async run(): Promise<readonly string[]> {
    const before = this.found;
    this.found = await this.look();
    for (const problem of this.found.filter((each) => !before.includes(each))) {
      this.logger.error('The tables cannot be used as they must be', { dataSource: this.name, problem });
    }
    return this.found;
  }

  /** To be told when a row is not there that must be. */
  suspect(): void {
    if (performance.now() - this.suspectedAt < SUSPECTED_AGAIN_MS) return;
    this.suspectedAt = performance.now();
    this.run().catch((error: unknown) => {
      this.logger.warn('Rights and visibility of the tables could not be checked', {
        dataSource: this.name,
        error: describeError(error),
      });
    });
  }
}
