import { Inject, Injectable } from '@nestjs/common';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { GiveUp } from '../publish/give-up';
import { type Publication, toPublication } from '../publish/publication';
import { PublisherGroup } from '../publish/publisher-group';
import { PerDataSource } from '../database/per-data-source';
import type { StoreSet } from '../database/stores';
import { TRANSPORT, type Transport } from '../broker/transport';
import { DueEvents } from './due-events';
import { UnknownTypes } from './unknown-types';
import { type Job, type ReportBatch, reportClaimed } from './job';
import { QueueBacklogs } from './queue-backlogs';

/**
 * Publishes events that were committed and are not published: their process died, or the broker was away or said no. One that was
 * published lately and could not be published again, because a declared consumer has no queue, may still wait in the others'
 * queues: those are looked at first.
 */
@Injectable()
export class PublishDueJob implements Job {
  readonly name = 'publish';
  private readonly due: PerDataSource<DueEvents>;

  constructor(
    private readonly publishers: PublisherGroup,
    @Inject(TRANSPORT) private readonly transport: Transport,
    private readonly giveUp: GiveUp,
    private readonly unknownTypes: UnknownTypes,
    @Inject(RESOLVED_OPTIONS) { publish, compensation }: Pick<ResolvedOptions, 'publish' | 'compensation'>,
  ) {
    const limit = { rows: compensation.batchSize, bytes: publish.bufferBytes };
    this.due = new PerDataSource(({ outbox }) => new DueEvents(outbox, 'pending', limit, publish.leaseMs));
  }

  ready(): boolean {
    return this.transport.status().available;
  }

  async run(set: StoreSet, report: ReportBatch, stop: AbortSignal): Promise<void> {
    const goOn = (): boolean => !stop.aborted && this.ready();
    const publisher = this.publishers.of(set);
    const backlogs = new QueueBacklogs(this.transport, goOn);
    for await (const batch of this.due.of(set).claim(goOn)) {
      reportClaimed(report, batch.events);
      this.unknownTypes.lookAt(batch.events);
      const publications: Publication[] = [];
      const publishedLately: ClaimedEvent[] = [];
      for (const event of batch.events) {
        if (this.isPublishedLately(event)) publishedLately.push(event);
        else publications.push(toPublication(event, batch));
      }
      // First, because they need not wait for the broker's answers about queues.
      await publisher.submit(publications);
      const again: Publication[] = [];
      for (const event of publishedLately)
        again.push({ ...toPublication(event, batch), targets: await backlogs.targets(event) });
      await publisher.submit(again);
    }
  }

  /** Its failed attempts since are no copies that wait, so they lengthen no patience. */
  private isPublishedLately({ type, version, publishedAgoMs }: ClaimedEvent): boolean {
    return publishedAgoMs !== null && publishedAgoMs < this.giveUp.patienceMs({ type, version, attempts: 1 });
  }
}
