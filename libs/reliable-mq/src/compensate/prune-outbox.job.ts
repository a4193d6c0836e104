import { lowestEventId } from '../domain/event-id';
import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';
import { ScanStart } from './scan-start';

const HOUR_MS = 3_600_000;

/** Deletes events that ended longer ago than their retention, in batches small enough to hold no lock for long. */
export class PruneOutboxJob implements Job {
  readonly name = 'prune-outbox';
  readonly dataSource: string;
  private readonly start: ScanStart<string>;

  constructor(
    private readonly set: StoreSet,
    private readonly retention: ResolvedOptions['retention'],
  ) {
    this.dataSource = set.name;
    this.start = new ScanStart(lowestEventId(Date.now() - retention.outboxHours * HOUR_MS));
  }

  ready(): boolean {
    return true;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const { outboxHours, pruneBatchSize } = this.retention;
    let afterId = this.start.next();
    const isFromStart = afterId === undefined;
    while (!stop.aborted) {
      const prune = (): Promise<readonly string[]> => this.set.outbox.prune(outboxHours, pruneBatchSize, afterId);
      const pruned = await (afterId === undefined ? this.start.fromStart(prune) : prune());
      if (pruned.length > 0) progress(pruned.length);
      afterId = pruned.at(-1);
      if (afterId !== undefined) this.start.reached(afterId);
      if (pruned.length < pruneBatchSize) break;
    }
    if (isFromStart && !stop.aborted) this.start.finished();
  }
}
