import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';

/** Deletes events that ended longer ago than their retention, in batches small enough to hold no lock for long. */
export class PruneOutboxJob implements Job {
  readonly name = 'prune-outbox';
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
    const { outboxHours, pruneBatchSize } = this.retention;
    let afterId: string | undefined;
    while (!stop.aborted) {
      const pruned = await this.set.outbox.prune(outboxHours, pruneBatchSize, afterId);
      if (pruned.length > 0) progress(pruned.length);
      if (pruned.length < pruneBatchSize) return;
      afterId = pruned.at(-1);
    }
  }
}
