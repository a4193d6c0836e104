import type { ResolvedOptions } from '../options/resolved-options';
import type { GiveUp } from '../publish/give-up';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { type Publication, toPublication } from '../publish/publication';
import { missingConsumers } from '../publish/publish-target';
import type { Publisher } from '../publish/publisher';
import type { StoreSet } from '../stores/stores';
import type { Transport } from '../transport/transport';
import { claimedBatches } from './claimed-batches';
import type { Job } from './job';

/**
 * Looks after events that were published and whose receipts have not come: publishes them again, to the consumers that are
 * missing. Whatever happened, lost message, lost receipt or a consumer that is down, the answer is the same, because consumers
 * recognise what they have handled. Gives up according to the event type's policy.
 */
export class ChaseReceiptsJob implements Job {
  readonly name = 'chase';
  readonly dataSource: string;

  constructor(
    private readonly set: StoreSet,
    private readonly publisher: Publisher,
    private readonly transport: Transport,
    private readonly giveUp: GiveUp,
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
    const batches = claimedBatches(this.set.outbox, 'published', compensation.batchSize, publish.leaseMs, goOn);
    for await (const batch of batches) {
      progress(batch.events.length);
      const again: Publication[] = [];
      for (const event of batch.events) {
        const publication = toPublication(event, batch);
        if (event.attempts > this.giveUp.policy(event).maxAttempts)
          this.publisher.giveUpOn(publication, noReceiptReason(event));
        else again.push(publication);
      }
      await this.publisher.submit(again);
    }
  }
}

function noReceiptReason(event: ClaimedEvent): string {
  const who = event.consumers.length > 0 ? missingConsumers(event).join(', ') : 'any consumer';
  return `no receipt from ${who} after publishing ${event.attempts - 1} times`;
}
