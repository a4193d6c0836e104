import { lowestEventId } from '../event/event-id';
import type { JobName } from '../event/hooks';
import type { ResolvedOptions } from '../options/resolved-options';
import type { StoreSet } from '../database/stores';
import type { Job, ReportBatch } from './job';
import { ScanStart } from './scan-start';

const HOUR_MS = 3_600_000;

/** One batch: how many rows it deleted, and how far along the index it has been, undefined if it found none. */
interface PrunedBatch {
  readonly count: number;
  readonly reached: string | undefined;
}

/** Deletes rows that ended longer ago than their retention, in batches small enough to hold no lock for long. */
export class PruneJob implements Job {
  private readonly start: ScanStart<string>;

  private constructor(
    readonly name: JobName,
    readonly dataSource: string,
    private readonly batchSize: number,
    position: string,
    private readonly prune: (from: string | undefined) => Promise<PrunedBatch>,
  ) {
    this.start = new ScanStart(position);
  }

  /** Of the events that ended. */
  static ofOutbox(set: StoreSet, { outboxHours, pruneBatchSize }: ResolvedOptions['retention']): PruneJob {
    const position = lowestEventId(Date.now() - outboxHours * HOUR_MS);
    return new PruneJob('prune-outbox', set.name, pruneBatchSize, position, async (afterId) => {
      const ids = await set.outbox.prune(outboxHours, pruneBatchSize, afterId);
      return { count: ids.length, reached: ids.at(-1) };
    });
  }

  /** Of the inbox rows that ended: beyond any retry, so that no duplicate can still come. */
  static ofInbox(set: StoreSet, { inboxHours, pruneBatchSize }: ResolvedOptions['retention']): PruneJob {
    const position = new Date(Date.now() - inboxHours * HOUR_MS).toISOString();
    return new PruneJob('prune-inbox', set.name, pruneBatchSize, position, async (endedFrom) => {
      const { count, lastEndedAt } = await set.inbox.prune(inboxHours, pruneBatchSize, endedFrom);
      return { count, reached: lastEndedAt };
    });
  }

  ready(): boolean {
    return true;
  }

  async run(report: ReportBatch, stop: AbortSignal): Promise<void> {
    let from = this.start.next();
    const isFromStart = from === undefined;
    while (!stop.aborted) {
      const prune = (): Promise<PrunedBatch> => this.prune(from);
      const { count, reached } = await (from === undefined ? this.start.fromStart(prune) : prune());
      if (count > 0) report(count);
      from = reached;
      if (from !== undefined) this.start.reached(from);
      if (count < this.batchSize) break;
    }
    if (isFromStart && !stop.aborted) this.start.finished();
  }
}
