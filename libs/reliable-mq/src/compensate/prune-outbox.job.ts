import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';
import { ScanStart } from './scan-start';

/** Deletes events that ended longer ago than their retention, in batches small enough to hold no lock for long. */
export class PruneOutboxJob implements Job {
  readonly name = 'prune-outbox';
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
    const { outboxHours, pruneBatchSize } = this.retention;
    let afterId = this.start.next();
    while (!stop.aborted) {
      const beganAtMs = performance.now();
      const pruned = await this.set.outbox.prune(outboxHours, pruneBatchSize, afterId);
      if (afterId === undefined) this.start.tookFromStart(performance.now() - beganAtMs);
      if (pruned.length > 0) progress(pruned.length);
      afterId = pruned.at(-1);
      if (afterId !== undefined) this.start.reached(afterId);
      if (pruned.length < pruneBatchSize) return;
    }
  }
}
