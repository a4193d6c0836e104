import type { HookRunner } from '../event/hook-runner';
import { receiptQueue } from '../event/queue-names';
import type { ResolvedOptions } from '../options/resolved-options';
import type { CommitListener } from '../transaction/committed-event';
import type { StoreSet, Stores } from '../database/stores';
import type { Transport } from '../broker/transport';
import type { GiveUp } from './give-up';
import { toFirstPublication } from './publication';
import { Publisher, type PublisherListener } from './publisher';

/** One publisher per outbox. */
export class PublisherGroup {
  private readonly publishers: ReadonlyMap<StoreSet, Publisher>;

  constructor(
    private readonly stores: Stores,
    options: Pick<ResolvedOptions, 'service' | 'publish'>,
    transport: Transport,
    giveUp: GiveUp,
    hooks: HookRunner,
    listener: PublisherListener,
  ) {
    this.publishers = new Map(
      stores.all.map((set) => {
        const origin = { service: options.service, source: set.name, receiptQueue: receiptQueue(options.service) };
        return [set, new Publisher(origin, options.publish, set.outbox, transport, giveUp, hooks, listener)];
      }),
    );
  }

  of(set: StoreSet): Publisher {
    const publisher = this.publishers.get(set);
    if (!publisher) throw new Error(`no publisher for DataSource "${set.name}"`);
    return publisher;
  }

  /** Takes over what has just been committed: straight from memory, in the order of the commits. */
  listener(): CommitListener {
    return (dataSource, events) => {
      const set = this.stores.of(dataSource);
      if (!set) return;
      this.of(set).offer(events.map(toFirstPublication));
    };
  }

  async stop(drainMs: number): Promise<void> {
    await Promise.all([...this.publishers.values()].map((publisher) => publisher.stop(drainMs)));
  }
}
