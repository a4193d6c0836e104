import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { ResolvedOptions } from '../options/resolved-options';
import { publishTargets } from '../publish/publish-target';
import type { Publisher } from '../publish/publisher';
import type { StoreSet } from '../stores/stores';
import type { Transport } from '../transport/transport';
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
    const { batchSize } = this.options.compensation;
    let dueFrom: string | undefined;
    while (!stop.aborted && this.ready()) {
      const token = randomUUID();
      const claimedAtMs = performance.now();
      const claimed = await this.set.outbox.claim('pending', batchSize, this.options.publish.leaseMs, token, dueFrom);
      if (claimed.length === 0) return;
      progress(claimed.length);
      await this.publisher.submit(
        claimed.map((event) => ({
          ...event,
          token,
          claimedAtMs,
          attempt: event.attempts,
          targets: publishTargets(event),
        })),
      );
      if (claimed.length < batchSize) return;
      dueFrom = claimed.reduce(
        (latest, { dueAt }) => (latest === undefined || dueAt > latest ? dueAt : latest),
        dueFrom,
      );
    }
  }
}
