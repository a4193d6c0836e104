import type { ResolvedOptions } from '../options/resolved-options';
import { toPublication } from '../publish/publication';
import type { Publisher } from '../publish/publisher';
import type { StoreSet } from '../stores/stores';
import type { Transport } from '../transport/transport';
import { claimedBatches } from './claimed-batches';
import type { Job } from './job';

/** Publishes events that were committed and are not published: their process died, or the broker was away or said no. */
export class PublishDueJob implements Job {
  readonly name = 'publish';
  readonly dataSource: string;

  constructor(
    private readonly set: StoreSet,
    private readonly publisher: Publisher,
    private readonly transport: Transport,
    private readonly options: Pick<ResolvedOptions, 'publish' | 'compensation'>,
  ) {
    this.dataSource = set.name;
  }

  ready(): boolean {
    return this.transport.status().available;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const { publish, compensation } = this.options;
    const goOn = (): boolean => !stop.aborted && this.ready();
    const batches = claimedBatches(this.set.outbox, 'pending', compensation.batchSize, publish.leaseMs, goOn);
    for await (const batch of batches) {
      progress(batch.events.length);
      await this.publisher.submit(batch.events.map((event) => toPublication(event, batch)));
    }
  }
}
