import type { ResolvedOptions } from '../options/resolved-options';
import { toPublication } from '../publish/publication';
import type { Publisher } from '../publish/publisher';
import type { StoreSet } from '../stores/stores';
import type { Transport } from '../transport/transport';
import { DueEvents } from './due-events';
import { type Job, type ReportBatch, reportClaimed } from './job';

/** Publishes events that were committed and are not published: their process died, or the broker was away or said no. */
export class PublishDueJob implements Job {
  readonly name = 'publish';
  readonly dataSource: string;
  private readonly due: DueEvents;

  constructor(
    set: StoreSet,
    private readonly publisher: Publisher,
    private readonly transport: Transport,
    { publish, compensation }: Pick<ResolvedOptions, 'publish' | 'compensation'>,
  ) {
    this.dataSource = set.name;
    const limit = { rows: compensation.batchSize, bytes: publish.bufferBytes };
    this.due = new DueEvents(set.outbox, 'pending', limit, publish.leaseMs);
  }

  ready(): boolean {
    return this.transport.status().available;
  }

  async run(report: ReportBatch, stop: AbortSignal): Promise<void> {
    const goOn = (): boolean => !stop.aborted && this.ready();
    for await (const batch of this.due.claim(goOn)) {
      reportClaimed(report, batch.events);
      await this.publisher.submit(batch.events.map((event) => toPublication(event, batch)));
    }
  }
}
