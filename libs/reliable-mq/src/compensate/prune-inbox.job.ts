import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';
import { ScanStart } from './scan-start';

/** Deletes inbox rows that ended longer ago than their retention: beyond any retry, so that no duplicate can still come. */
export class PruneInboxJob implements Job {
  readonly name = 'prune-inbox';
  readonly dataSource: string;
  private readonly start = new ScanStart<string>();

  constructor(
    private readonly set: StoreSet,
    private readonly retention: ResolvedOptions['retention'],
  ) {
    this.dataSource = set.name;
  }

  ready(): boolean {
    return true;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const { inboxHours, pruneBatchSize } = this.retention;
    let endedFrom = this.start.next();
    while (!stop.aborted) {
      const beganAtMs = performance.now();
      const { count, lastEndedAt } = await this.set.inbox.prune(inboxHours, pruneBatchSize, endedFrom);
      if (endedFrom === undefined) this.start.tookFromStart(performance.now() - beganAtMs);
      if (count > 0) progress(count);
      if (lastEndedAt !== undefined) this.start.reached(lastEndedAt);
      if (count < pruneBatchSize) return;
      endedFrom = lastEndedAt;
    }
  }
}
