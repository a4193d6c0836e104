import type { Pruned } from '../inbox/inbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../stores/stores';
import type { Job } from './job';
import { ScanStart } from './scan-start';

const HOUR_MS = 3_600_000;

/** Deletes inbox rows that ended longer ago than their retention: beyond any retry, so that no duplicate can still come. */
export class PruneInboxJob implements Job {
  readonly name = 'prune-inbox';
  readonly dataSource: string;
  private readonly start: ScanStart<string>;

  constructor(
    private readonly set: StoreSet,
    private readonly retention: ResolvedOptions['retention'],
  ) {
    this.dataSource = set.name;
    this.start = new ScanStart(new Date(Date.now() - retention.inboxHours * HOUR_MS).toISOString());
  }

  ready(): boolean {
    return true;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const { inboxHours, pruneBatchSize } = this.retention;
    let endedFrom = this.start.next();
    const isFromStart = endedFrom === undefined;
    while (!stop.aborted) {
      const prune = (): Promise<Pruned> => this.set.inbox.prune(inboxHours, pruneBatchSize, endedFrom);
      const { count, lastEndedAt } = await (endedFrom === undefined ? this.start.fromStart(prune) : prune());
      if (count > 0) progress(count);
      endedFrom = lastEndedAt;
      if (endedFrom !== undefined) this.start.reached(endedFrom);
      if (count < pruneBatchSize) break;
    }
    if (isFromStart && !stop.aborted) this.start.finished();
  }
}
