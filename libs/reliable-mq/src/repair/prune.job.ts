import { Inject, Injectable } from '@nestjs/common';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { lowestEventId } from '../event/event-id';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { Job, ReportBatch } from './job';
import { ScanStart } from './scan-start';

const HOUR_MS = 3_600_000;

/** One batch: how many rows it deleted, and how far along the index it has been, undefined if it found none. */
interface PrunedBatch {
  readonly count: number;
  readonly reached: string | undefined;
}

/** Deletes rows that ended longer ago than their retention, in batches small enough to hold no lock for long. */
abstract class PruneJob implements Job {
  abstract readonly name: 'prune-outbox' | 'prune-inbox';
  private readonly starts = new PerDataSource(() => new ScanStart(this.position));

  /** @param position of what had ended long enough ago when the process started */
  protected constructor(
    private readonly batchSize: number,
    private readonly position: string,
  ) {}

  ready(): boolean {
    return true;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const start = this.starts.of(set);
    let from = start.next();
    const isFromStart = from === undefined;
    while (!stop.aborted) {
      const prune = (): Promise<PrunedBatch> => this.prune(set, from);
      const { count, reached } = await (from === undefined ? start.fromStart(prune) : prune());
      if (count > 0) report(count);
      from = reached;
      if (from !== undefined) start.reached(from);
      if (count < this.batchSize) break;
    }
    if (isFromStart && !stop.aborted) start.finished();
  }

  protected abstract prune(set: StoreSet, from: string | undefined): Promise<PrunedBatch>;
}

/** Of the events that ended. */
@Injectable()
export class PruneOutboxJob extends PruneJob {
  readonly name = 'prune-outbox';
  private readonly retention: ResolvedOptions['retention'];

  constructor(@Inject(RESOLVED_OPTIONS) { retention }: Pick<ResolvedOptions, 'retention'>) {
    super(retention.pruneBatchSize, lowestEventId(Date.now() - retention.outboxHours * HOUR_MS));
    this.retention = retention;
  }

  protected async prune({ outbox }: StoreSet, afterId: string | undefined): Promise<PrunedBatch> {
    const { outboxHours, pruneBatchSize } = this.retention;
    const ids = await outbox.prune(outboxHours, pruneBatchSize, afterId);
    return { count: ids.length, reached: ids.at(-1) };
  }
}

/** Of the inbox rows that ended: beyond any retry, so that no duplicate can still come. */
@Injectable()
export class PruneInboxJob extends PruneJob {
  readonly name = 'prune-inbox';
  private readonly retention: ResolvedOptions['retention'];

  constructor(@Inject(RESOLVED_OPTIONS) { retention }: Pick<ResolvedOptions, 'retention'>) {
    super(retention.pruneBatchSize, new Date(Date.now() - retention.inboxHours * HOUR_MS).toISOString());
    this.retention = retention;
  }

  protected async prune({ inbox }: StoreSet, endedFrom: string | undefined): Promise<PrunedBatch> {
    const { inboxHours, pruneBatchSize } = this.retention;
    const { count, lastEndedAt } = await inbox.prune(inboxHours, pruneBatchSize, endedFrom);
    return { count, reached: lastEndedAt };
  }
}
