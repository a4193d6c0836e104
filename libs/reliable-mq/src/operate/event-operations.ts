import { Inject, Injectable } from '@nestjs/common';
import { describeError, EventNotDeadError, EventNotFoundError, InvalidEventError } from '../event/errors';
import { EventTypes } from '../event/event-types';
import { Wakeups } from '../event/wakeups';
import { isUuid } from '../event/event-id';
import type { InboxKey } from '../inbox/inbox.store';
import { Stores } from '../database/stores';
import { findJourney, type Journey } from './journey';
import { auditOf, type OperationNote, Operations } from './operations';
import { idsByReason, notIn, whyEventLeftOut, whyHandlingLeftOut, whyNotReplaced } from './left-out';
import {
  problemsOfChange,
  problemsOfEventFilter,
  problemsOfEventIds,
  problemsOfInboxFilter,
  problemsOfInboxKeys,
  problemsOfRedriveOptions,
  problemsOfScope,
  problemsOfSearch,
  refuse,
} from './operation-input';
import {
  type EventFilter,
  type HandlingKey,
  type EventRecord,
  type EventState,
  type InboxFilter,
  type InboxRecord,
  type OperationsStore,
  type ReliableMqStatistics,
  MAX_LIMIT,
} from '../database/operations.store';
import { createLog } from '../log/log';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { newEvents } from '../record/new-events';
import type { CommittedEvent } from '../transaction/committed-event';

export interface OperationScope {
  /**
   * Name of the DataSource.
   * @default the first of the module's `dataSources`
   */
  readonly dataSource?: string;
}

/** Who and why, for the audit, which every change leaves a row in. */
export interface ChangeOptions extends OperationScope {
  /** @default 'EventOperations' */
  readonly by?: string;
  readonly why?: string;
}

export interface RedriveOptions extends ChangeOptions {
  /**
   * Send an event again although its compensation handler has committed. Only where the consumers and the producer can take
   * that: the business was undone.
   * @default false
   */
  readonly evenIfCompensated?: boolean;
}

/**
 * For the person on call: look at events, send dead ones again, or let them go.
 *
 * Input that cannot be meant (an unknown status, filter or option, a limit out of range, ids that are none) is refused with a
 * ReliableMqError of code `INVALID_OPTIONS`, before anything is done.
 */
@Injectable()
export class EventOperations {
  private readonly logger = createLog();

  constructor(
    private readonly stores: Stores,
    private readonly wakeups: Wakeups,
    private readonly eventTypes: EventTypes,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'record'>,
  ) {}

  /**
   * Events by filter, newest first, a page at a time (`before`: the last id of the page before).
   * @throws EventNotFoundError when `before` cannot be an event id
   */
  async list(filter: EventFilter = {}, scope: OperationScope = {}): Promise<readonly EventRecord[]> {
    refuse('list', [...problemsOfEventFilter(filter), ...problemsOfScope(scope)]);
    if (filter.before !== undefined && !isUuid(filter.before)) throw new EventNotFoundError(filter.before);
    return this.store(scope).list(filter);
  }

  /**
   * One event with its whole history and what each consumer reported.
   * @throws EventNotFoundError
   */
  async get(eventId: string, scope: OperationScope = {}): Promise<EventRecord> {
    refuse('get', problemsOfScope(scope));
    const found = isUuid(eventId) ? await this.store(scope).get(eventId) : undefined;
    if (!found) throw new EventNotFoundError(eventId);
    return found;
  }

  /**
   * The journey of an order's number, or whatever is the `key` of its events, or of an event id: the events, what led to them and what they led
   * to, each with what its consumers reported; and what the consumers of this service have done. Of another service's tables nothing is seen.
   * @param scope without a `dataSource`, all those of the module
   */
  async find(keyOrId: string, scope: OperationScope = {}): Promise<Journey> {
    refuse('find', [...problemsOfSearch(keyOrId), ...problemsOfScope(scope)]);
    const { dataSource } = scope;
    return findJourney(keyOrId, dataSource === undefined ? this.stores.all : [this.stores.byName(dataSource)]);
  }

  /** What consumers of this service have failed at or put aside, newest first, a page at a time (`before`: the last one's `cursor`). */
  async listInbox(filter: InboxFilter = {}, scope: OperationScope = {}): Promise<readonly InboxRecord[]> {
    refuse('listInbox', [...problemsOfInboxFilter(filter), ...problemsOfScope(scope)]);
    return this.store(scope).listInbox(filter);
  }

  /** Counts of everything unfinished, from the partial indexes: it does not scan the tables. Counting stops at 10,000 a kind. */
  async statistics(scope: OperationScope = {}): Promise<ReliableMqStatistics> {
    refuse('statistics', problemsOfScope(scope));
    return this.store(scope).statistics();
  }

  /**
   * Dead events become pending again with fresh attempts, and consumers that gave them up try again. One that every consumer
   * has handled since it died becomes consumed.
   * @returns the ids that were redriven; the others were not dead, were being compensated, or had been (see
   *   `evenIfCompensated`): a warning in the log names them with the reason
   */
  async redrive(eventIds: readonly string[], options: RedriveOptions = {}): Promise<readonly string[]> {
    refuse('redrive', [...problemsOfEventIds(eventIds, 'redrive'), ...problemsOfRedriveOptions(options)]);
    const { evenIfCompensated = false } = options;
    const store = this.store(options);
    const audit = auditOf('redrive', noteOf(options), null);
    const redriven = await inBatches(eventIds, (some) => store.redrive(some, evenIfCompensated, audit));
    if (redriven.length > 0) this.wakeups.wake('publish');
    await this.tellLeftOut(
      'Some of the events were not redriven',
      { redriven: redriven.length },
      notIn(redriven, eventIds.map(lowerCase)),
      reasonsOfEvents(store, (state) => whyEventLeftOut(state, !evenIfCompensated)),
    );
    return redriven;
  }

  /**
   * Failed, dead or rejected handlings of this service are tried again now, without asking the producer to send again.
   * @returns how many; a warning in the log names the others with the reason
   */
  async retryInbox(keys: readonly HandlingKey[], options: ChangeOptions = {}): Promise<number> {
    refuse('retryInbox', [...problemsOfInboxKeys(keys), ...problemsOfChange(options)]);
    const store = this.store(options);
    const audit = auditOf('retry', noteOf(options), null);
    const retried = await inBatches(keys, (some) => store.retryInbox(some, audit));
    if (retried.length > 0) this.wakeups.wake('retry');
    const byLabel = new Map(keys.map((key) => [labelOf(key), key]));
    await this.tellLeftOut(
      'Some of the handlings were not retried',
      { retried: retried.length },
      notIn(retried.flatMap(labelsOf), [...byLabel.keys()]),
      async (labels) => {
        const asked = labels.map((label) => byLabel.get(label) as HandlingKey);
        const states = await inBatches(asked, (some) => store.handlingStates(some));
        const stateOf = new Map(states.flatMap((state) => labelsOf(state).map((label) => [label, state])));
        return (label) => whyHandlingLeftOut(stateOf.get(label));
      },
    );
    return retried.length;
  }

  /**
   * Delete dead events for good, without compensation.
   * @returns the ids that were deleted; the others were not dead, or were being compensated: a warning in the log names them
   *   with the reason
   */
  async discard(eventIds: readonly string[], options: ChangeOptions = {}): Promise<readonly string[]> {
    refuse('discard', [...problemsOfEventIds(eventIds, 'discard'), ...problemsOfChange(options)]);
    const store = this.store(options);
    const audit = auditOf('discard', noteOf(options), null);
    const discarded = await inBatches(eventIds, (some) => store.discard(some, audit));
    await this.tellLeftOut(
      'Some of the events were not discarded',
      { discarded: discarded.length },
      notIn(discarded, eventIds.map(lowerCase)),
      reasonsOfEvents(store, (state) => whyEventLeftOut(state, false)),
    );
    return discarded;
  }

  /**
   * A new event in the place of a dead one, with another payload: the same type, version, key, consumers and headers. It names the old one as its
   * cause; the old one is archived, and is not compensated any more. In one transaction, with the audit's row.
   * @param payload as a consumer gets it: checked as `record` checks it, so the event's class must be one of this application
   * @returns id of the new event
   * @throws EventNotFoundError
   * @throws EventNotDeadError when it is not dead, is archived or compensated (see `evenIfCompensated`), or is being compensated
   * @throws InvalidEventError when its class refuses the payload, or is not known here; PayloadTooLargeError
   */
  async editAndRedrive(eventId: string, payload: unknown, options: RedriveOptions = {}): Promise<string> {
    refuse('editAndRedrive', problemsOfRedriveOptions(options));
    const { evenIfCompensated = false, dataSource } = options;
    const event = await this.get(eventId, dataSource === undefined ? {} : { dataSource });
    const { type, version, key } = event;
    const eventType = this.eventTypes.find(event);
    if (!eventType) {
      const problem = `version ${version} of it is no event class of this application, which so does not know what it may hold: edit it where it is recorded`;
      throw new InvalidEventError(type, [{ property: '(type)', problems: [problem] }]);
    }
    const parts = { headers: undefined, causationId: event.id, ...(key !== null && { key }) };
    const { maxPayloadBytes } = this.options.record;
    const [made] = await newEvents(eventType, [payload], parts, '', maxPayloadBytes);
    const by = made as CommittedEvent;
    const store = this.store(options);
    if (!(await store.replace(event.id, by, evenIfCompensated, auditOf('edit', noteOf(options), null)))) {
      const [state] = await store.eventStates([event.id]);
      throw new EventNotDeadError(event.id, whyNotReplaced(state, evenIfCompensated));
    }
    this.wakeups.wake('publish');
    return by.id;
  }

  /**
   * The operations on one DataSource's tables by ids, or on all that match: redrive, archive, discard and retry with a dry run, a rate, and who
   * and why; groups of failures; queues that are paused and resumed; what people have done.
   */
  on(scope: OperationScope = {}): Operations {
    refuse('on', problemsOfScope(scope));
    return new Operations(this.store(scope), (job) => this.wakeups.wake(job));
  }

  /** What was done is done: when the reasons cannot be read, the ids are told with that, and the caller has its answer. */
  private async tellLeftOut(
    message: string,
    done: Readonly<Record<string, number>>,
    ids: readonly string[],
    reasonsOf: (ids: readonly string[]) => Promise<(id: string) => string>,
  ): Promise<void> {
    if (ids.length === 0) return;
    const why = await reasonsOf(ids).catch((error: unknown) => () => `the reason is unknown: ${describeError(error)}`);
    this.logger.warn(message, { ...done, leftOut: ids.length, because: idsByReason(ids, why) });
  }

  private store({ dataSource }: OperationScope): OperationsStore {
    return (dataSource === undefined ? this.stores.default : this.stores.byName(dataSource)).operations;
  }
}

function noteOf({ by = 'EventOperations', why }: ChangeOptions): OperationNote {
  return { by, why };
}

function reasonsOfEvents(store: OperationsStore, why: (state: EventState | undefined) => string) {
  return async (ids: readonly string[]): Promise<(id: string) => string> => {
    const states = await inBatches(ids, (some) => store.eventStates(some));
    const stateOf = new Map(states.map((state) => [state.id, state]));
    return (id) => why(stateOf.get(id));
  };
}

/** Statements stay bounded however many ids people give. What was done before an error stays done: asked again, the rest is. */
async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (some: readonly Item[]) => Promise<readonly Result[]>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < items.length; from += MAX_LIMIT) {
    for (const result of await work(items.slice(from, from + MAX_LIMIT))) results.push(result);
  }
  return results;
}

/** As the database writes a UUID. */
function lowerCase(id: string): string {
  return id.toLowerCase();
}

function labelOf({ eventId, consumer, type = '' }: HandlingKey): string {
  return `${eventId} ${consumer} ${type}`.trimEnd();
}

/** With its type, and as somebody who did not name the type calls it. */
function labelsOf({ eventId, consumer, type }: InboxKey): readonly string[] {
  return [labelOf({ eventId, consumer, type }), labelOf({ eventId, consumer })];
}
