import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';

/** Deletes inbox rows that ended longer ago than their retention: beyond any retry, so that no duplicate can still come. */
export class PruneInboxJob implements Job {
  readonly name = 'prune-inbox';
  readonly dataSource: string;

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
    while (!stop.aborted) {
      const pruned = await this.set.inbox.prune(inboxHours, pruneBatchSize);
      if (pruned > 0) progress(pruned);
      if (pruned < pruneBatchSize) return;
    }
  }
}
