import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { ResolvedOptions } from '../options/resolved-options';
import type { GiveUp } from '../publish/give-up';
import type { ClaimedEvent } from '../outbox/outbox.store';
import type { Publication } from '../publish/publication';
import { missingConsumers, publishTargets } from '../publish/publish-target';
import type { Publisher } from '../publish/publisher';
import type { StoreSet } from '../stores/stores';
import type { Transport } from '../transport/transport';
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
    private readonly onGivenUp: (event: ClaimedEvent, reason: string) => void,
  ) {
    this.dataSource = set.name;
  }

  ready(): boolean {
    return this.transport.status().available;
  }

  async run(progress: (count: number) => void, stop: AbortSignal): Promise<void> {
    const { batchSize } = this.options.compensation;
    while (!stop.aborted && this.ready()) {
      const token = randomUUID();
      const claimedAtMs = performance.now();
      const claimed = await this.set.outbox.claim('published', batchSize, this.options.publish.leaseMs, token);
      if (claimed.length === 0) return;
      progress(claimed.length);
      const again: Publication[] = [];
      for (const event of claimed) {
        if (event.attempts > this.giveUp.policy(event).maxAttempts) this.end(event, token);
        else again.push({ ...event, token, claimedAtMs, attempt: event.attempts, targets: publishTargets(event) });
      }
      await this.publisher.submit(again);
      if (claimed.length < batchSize) return;
    }
  }

  private end(event: ClaimedEvent, token: string): void {
    const who = event.consumers.length > 0 ? missingConsumers(event).join(', ') : 'any consumer';
    const reason = `no receipt from ${who} after publishing ${event.attempts - 1} times`;
    this.publisher.settle({ id: event.id, token, result: 'dead', delayMs: 0, reason });
    this.onGivenUp(event, reason);
  }
}
