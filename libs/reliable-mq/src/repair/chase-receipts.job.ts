import { Inject, Injectable } from '@nestjs/common';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { GiveUp } from '../publish/give-up';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { type Publication, toPublication } from '../publish/publication';
import { missingConsumers } from '../publish/publish-target';
import { PublisherGroup } from '../publish/publisher-group';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { TRANSPORT, type Transport } from '../broker/transport';
import { ReceiptIntake } from '../receipt/receipt-intake';
import { DueEvents } from './due-events';
import { UnknownTypes } from './unknown-types';
import { type Job, type ReportBatch, reportClaimed } from './job';
import { type Backlog, QueueBacklogs } from './queue-backlogs';
import { UnattendedQueues } from './unattended-queues';

const JITTER = 0.2;
/** An event that was claimed while receipts could still be received is looked at again after so long, in milliseconds. */
const CANNOT_HEAR_MS = 5000;

/**
 * Looks after events that were published and whose receipts have not come: publishes them again, to the consumers that are
 * missing. Whatever happened, lost message, lost receipt or a consumer that is down, the answer is the same, because consumers
 * recognise what they have handled. While as many messages wait in the queue as events are missing, the consumer is behind, and
 * the event is looked at again later. Gives up according to the event type's policy.
 */
@Injectable()
export class ChaseReceiptsJob implements Job {
  readonly name = 'chase';
  private readonly due: PerDataSource<DueEvents>;
  private readonly unattended: UnattendedQueues;

  constructor(
    private readonly publishers: PublisherGroup,
    private readonly receipts: ReceiptIntake,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly giveUp: GiveUp,
    private readonly unknownTypes: UnknownTypes,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'publish' | 'receipts' | 'compensation'>,
  ) {
    const { publish, compensation } = options;
    const limit = { rows: compensation.batchSize, bytes: publish.bufferBytes };
    this.unattended = new UnattendedQueues(transport);
    this.due = new PerDataSource(({ outbox }) => new DueEvents(outbox, 'published', limit, publish.leaseMs));
  }

  /** Queues that events wait for and that nobody consumes, as the last runs have found them. */
  get unattendedQueues(): readonly string[] {
    return this.unattended.names;
  }

  /** While receipts cannot come, or wait to be written, that there is none says nothing of any event. */
  ready(): boolean {
    return this.transport.status().available && this.receipts.problem === undefined;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const goOn = (): boolean => !stop.aborted && this.ready();
    const publisher = this.publishers.of(set);
    const backlogs = new QueueBacklogs(this.transport, goOn);
    for await (const batch of this.due.of(set).claim(goOn)) {
      reportClaimed(report, batch.events);
      this.unknownTypes.lookAt(batch.events);
      const again: Publication[] = [];
      for (const event of batch.events) {
        const publication = toPublication(event, batch);
        const patienceMs = this.giveUp.patienceMs(event) - (event.publishedAgoMs ?? 0);
        const backlog = patienceMs > 0 ? await backlogs.mayHold(event) : undefined;
        const isLast = event.attempts > this.giveUp.policy(event).maxAttempts;
        const problem = this.receipts.problem;
        if (problem !== undefined) publisher.postpone(publication, problem, CANNOT_HEAR_MS);
        // None dies before its patience ends because the broker did not answer, or was no longer asked.
        else if (backlog !== undefined && (backlog !== 'not-known' || isLast))
          publisher.postpone(publication, waitsReason(backlog), this.lookAgainMs(event, patienceMs));
        else if (isLast && this.couldHear(event))
          publisher.giveUpOn(publication, noReceiptReason(event, await backlogs.unattended(event)));
        else if (patienceMs > 0) again.push({ ...publication, targets: await backlogs.targets(event) });
        else again.push(publication);
      }
      await publisher.submit(again);
    }
    await this.unattended.update(backlogs.asked, goOn);
  }

  /** A receipt may have come and gone while none could be received: then it gets one attempt more. */
  private couldHear({ publishedAgoMs }: ClaimedEvent): boolean {
    return (publishedAgoMs ?? 0) <= this.receipts.receivesForMs;
  }

  /** After as long again as it has waited already, but not much later than its patience ends. */
  private lookAgainMs({ publishedAgoMs }: ClaimedEvent, patienceMs: number): number {
    const { chaseAfterMs } = this.options.receipts;
    const againMs = Math.max(chaseAfterMs, Math.min(publishedAgoMs ?? 0, patienceMs));
    return againMs * (1 + Math.random() * JITTER);
  }
}

function waitsReason(backlog: Backlog | 'not-known'): string {
  if (backlog === 'not-known') return 'its consumer may be behind: how many messages wait in its queue is not known';
  const { queue, messages, consumers } = backlog;
  if (consumers === 0)
    return `nobody consumes queue "${queue}": ${messages} messages wait in it or in its parking queue`;
  return `its consumer is behind: ${messages} messages wait in queue "${queue}"`;
}

function noReceiptReason(event: ClaimedEvent, unattended: readonly string[]): string {
  const who = event.consumers.length > 0 ? missingConsumers(event).join(', ') : 'any consumer';
  const why = unattended.map((queue) => `; nobody consumes queue "${queue}"`).join('');
  return `no receipt from ${who} after publishing ${event.attempts - 1} times${why}`;
}
