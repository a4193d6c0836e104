import { Inject, Injectable } from '@nestjs/common';
import { TRANSPORT, type Transport } from '../broker/transport';
import { PerDataSource } from '../database/per-data-source';
import { type StoreSet, Stores } from '../database/stores';
import { HookRunner } from '../event/hook-runner';
import { receiptQueue } from '../event/queue-names';
import { Wakeups } from '../event/wakeups';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { CommittedEvents } from '../transaction/committed-events';
import { GiveUp } from './give-up';
import { toFirstPublication } from './publication';
import { Publisher, type PublisherSummary } from './publisher';

/** One publisher for each outbox, started and stopped together. */
@Injectable()
export class PublisherGroup {
  private readonly publishers: PerDataSource<Publisher>;
  private stopListening: (() => void) | undefined;

  constructor(
    @Inject(RESOLVED_OPTIONS) { service, publish }: Pick<ResolvedOptions, 'service' | 'publish'>,
    private readonly stores: Stores,
    private readonly committed: CommittedEvents,
    @Inject(TRANSPORT) transport: Transport,
    giveUp: GiveUp,
    hooks: HookRunner,
    wakeups: Wakeups,
  ) {
    this.publishers = new PerDataSource((set) => {
      const origin = { service, source: set.name, receiptQueue: receiptQueue(service) };
      return new Publisher(origin, publish, set, transport, giveUp, hooks, wakeups);
    });
  }

  of(set: StoreSet): Publisher {
    return this.publishers.of(set);
  }

  /** Take over what is committed from now on: straight from memory, in the order of the commits. */
  start(): void {
    this.stopListening ??= this.committed.onCommit((dataSource, events) => {
      const set = this.stores.of(dataSource);
      if (set) this.of(set).offer(events.map(toFirstPublication));
    });
  }

  /** Events that are committed later find their publisher stopped, and are left to other instances at once. */
  async stop(drainMs: number): Promise<PublisherSummary> {
    const summaries = await Promise.all(this.stores.all.map((set) => this.of(set).stop(drainMs)));
    return summaries.reduce((sum, each) => ({
      finished: sum.finished + each.finished,
      givenBack: sum.givenBack + each.givenBack,
      leftToLease: sum.leftToLease + each.leftToLease,
    }));
  }

  /** Leave what is committed from now on to its lease. */
  close(): void {
    this.stopListening?.();
  }
}
