import type { ConsumerGroup } from '../consume/consumer-group';
import type { GiveUp } from '../publish/give-up';
import type { PublisherGroup } from '../publish/publisher-group';
import type { RuntimeParts } from './runtime-parts';
import { ChaseReceiptsJob } from '../repair/chase-receipts.job';
import type { Job } from '../repair/job';
import { PruneJob } from '../repair/prune.job';
import { PublishDueJob } from '../repair/publish-due.job';
import { RetryFailedJob } from '../consume/retry-failed.job';
import { RunCompensationsJob } from '../compensate/run-compensations.job';

/** The jobs of the compensation task, for each DataSource those that this application's halves need. */
export function createJobs(
  parts: Pick<
    RuntimeParts,
    'options' | 'stores' | 'transactions' | 'transport' | 'handlers' | 'compensations' | 'hooks'
  >,
  giveUp: GiveUp,
  publishers: PublisherGroup | undefined,
  consumers: ConsumerGroup | undefined,
  onCompensateIn: (delayMs: number) => void,
): readonly Job[] {
  const { options, stores, transactions, transport, handlers, compensations, hooks } = parts;
  const jobs: Job[] = [];
  for (const set of stores.all) {
    if (publishers) {
      const publisher = publishers.of(set);
      jobs.push(
        new PublishDueJob(set, publisher, transport, giveUp, options),
        new ChaseReceiptsJob(set, publisher, transport, giveUp, options),
        new RunCompensationsJob(set, compensations, transactions, options, hooks, onCompensateIn),
        PruneJob.ofOutbox(set, options.retention),
      );
    }
    if (consumers) {
      jobs.push(new RetryFailedJob(set, handlers, consumers.handling), PruneJob.ofInbox(set, options.retention));
    }
  }
  return jobs;
}
