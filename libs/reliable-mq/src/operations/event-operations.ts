import { EventNotFoundError } from '../domain/errors';
import type { JobName } from '../domain/hooks';
import { isUuid } from '../domain/event-id';
import type {
  EventFilter,
  EventRecord,
  InboxFilter,
  InboxRecord,
  OperationsStore,
  ReliableMqStatistics,
} from './operations.store';
import type { Stores } from '../stores/stores';

export interface OperationScope {
  /**
   * Name of the DataSource.
   * @default the first of the module's `dataSources`
   */
  readonly dataSource?: string;
}

export interface RedriveOptions extends OperationScope {
  /**
   * Send an event again although its compensation handler has committed. Only where the consumers and the producer can take
   * that: the business was undone.
   * @default false
   */
  readonly evenIfCompensated?: boolean;
}

/** For the person on call: look at events, send dead ones again, or let them go. */
export class EventOperations {
  constructor(
    private readonly stores: Stores,
    private readonly poke: (job: JobName) => void,
  ) {}

  /**
   * Events by filter, newest first, a page at a time (`before`: the last id of the page before).
   * @throws EventNotFoundError when `before` cannot be an event id
   */
  async list(filter: EventFilter = {}, scope: OperationScope = {}): Promise<readonly EventRecord[]> {
    if (filter.before !== undefined && !isUuid(filter.before)) throw new EventNotFoundError(filter.before);
    return this.store(scope).list(filter);
  }

  /**
   * One event with its whole history and what each consumer reported.
   * @throws EventNotFoundError
   */
  async get(eventId: string, scope: OperationScope = {}): Promise<EventRecord> {
    const found = isUuid(eventId) ? await this.store(scope).get(eventId) : undefined;
    if (!found) throw new EventNotFoundError(eventId);
    return found;
  }

  /** What consumers of this service have failed at or put aside, newest first. */
  async listInbox(filter: InboxFilter = {}, scope: OperationScope = {}): Promise<readonly InboxRecord[]> {
    return this.store(scope).listInbox(filter);
  }

  /** Counts of everything unfinished, from the partial indexes: it does not scan the tables. Counting stops at 10,000 a kind. */
  async statistics(scope: OperationScope = {}): Promise<ReliableMqStatistics> {
    return this.store(scope).statistics();
  }

  /**
   * Dead events become pending again with fresh attempts, and consumers that gave them up try again. One that every consumer
   * has handled since it died becomes consumed.
   * @returns the ids that were redriven; the others were not dead, were being compensated, or had been (see `evenIfCompensated`)
   */
  async redrive(eventIds: readonly string[], options: RedriveOptions = {}): Promise<readonly string[]> {
    const redriven = await this.store(options).redrive(eventIds.filter(isUuid), options.evenIfCompensated ?? false);
    if (redriven.length > 0) this.poke('publish');
    return redriven;
  }

  /**
   * Failed, dead or rejected handlings of this service are tried again now, without asking the producer to send again.
   * @returns how many
   */
  async retryInbox(
    keys: readonly { readonly eventId: string; readonly consumer: string }[],
    scope: OperationScope = {},
  ): Promise<number> {
    const retried = await this.store(scope).retryInbox(keys);
    if (retried > 0) this.poke('retry');
    return retried;
  }

  /**
   * Delete dead events for good, without compensation. @returns the ids that were deleted; the others were not dead
   */
  async discard(eventIds: readonly string[], scope: OperationScope = {}): Promise<readonly string[]> {
    return this.store(scope).discard(eventIds.filter(isUuid));
  }

  private store({ dataSource }: OperationScope): OperationsStore {
    return (dataSource === undefined ? this.stores.default : this.stores.byName(dataSource)).operations;
  }
}
