import type { Audit, AuditRecord, OperationName, PausedQueue, QueueName } from '../database/audit';
import type { PastEvent } from '../database/past-events';
import type { DeadEvent, DeadFilter, FailedFilter, FailedHandling } from '../database/failures';
import type { EventRecord, HandlingKey, OperationsStore } from '../database/operations.store';
import { newEventId } from '../event/event-id';
import type { JobName } from '../event/hooks';
import { BATCH, type BulkResult, changeAll, everything, look, type Pace, type Pages } from './bulk';
import { deadGroups, failedGroups, type FailureGroups } from './failure-groups';
import { isOfKind } from './fingerprint';
import { problemsOfHistory, problemsOfNote, problemsOfQueue, problemsOfSelection, refuse } from './operation-input';

/** Who does something, and why: kept in the audit with what was done. */
export interface OperationNote {
  /** 1 to 200 characters. */
  readonly by: string;
  /** At most 2,000 characters. */
  readonly why?: string | undefined;
}

/** Dead events by their ids, or all that match. */
export type EventSelection =
  { readonly ids: readonly string[] } | (DeadFilter & { readonly fingerprint?: string; readonly ids?: never });

/** Handlings by their keys, or all that match. */
export type HandlingSelection =
  { readonly keys: readonly HandlingKey[] } | (FailedFilter & { readonly fingerprint?: string; readonly keys?: never });

export interface BulkOptions extends OperationNote, Pace {
  /** Say how many match, and which first; change nothing. */
  readonly dryRun?: boolean | undefined;
  /** Names the run in the audit, a UUID. @default a new one */
  readonly runId?: string | undefined;
  /** Of `redrive`: also what was compensated. See `RedriveOptions`. */
  readonly evenIfCompensated?: boolean | undefined;
}

/** Events that a new consumer is to have. */
export interface HistorySelection extends QueueName {
  /** Those that were recorded from then on. */
  readonly since: Date;
}

export interface BackfillResult extends BulkResult<string> {
  /** When the oldest event of this type was recorded that the outbox still has, dead ones aside; null: it has none. */
  readonly oldest: Date | null;
  /** Events of the selection that are not sent. */
  readonly left: {
    /** Not at their end yet: sent again to nobody but those whom they wait for. */
    readonly unfinished: number;
    readonly dead: number;
    /** The consumer is declared, or has reported something: it has them, or gets them anyway. */
    readonly known: number;
  };
}

/**
 * What a person does with one DataSource's tables: the one model that EventOperations, the console and the command line share. Everything that
 * changes something is bounded, says who and why, and leaves a row in the audit with the change.
 */
export class Operations {
  constructor(
    private readonly store: OperationsStore,
    /** Lets a job of this process look at once. */
    private readonly wake: (job: JobName) => void = () => undefined,
  ) {}

  /** Dead events become pending again, with fresh attempts. */
  redrive(selection: EventSelection, options: BulkOptions): Promise<BulkResult<string>> {
    const { evenIfCompensated = false } = options;
    const change = (ids: readonly string[], audit: Audit) => this.store.redrive(ids, evenIfCompensated, audit);
    const matches = ({ isCompensated }: DeadEvent): boolean => evenIfCompensated || !isCompensated;
    return this.onEvents('redrive', selection, options, change, matches, 'publish');
  }

  /** Dead events that a person has dealt with need none any more. They stay, and can be redriven. */
  archive(selection: EventSelection, options: BulkOptions): Promise<BulkResult<string>> {
    return this.onEvents('archive', selection, options, (ids, audit) => this.store.archive(ids, audit));
  }

  /** Delete dead events for good, without compensation. */
  discard(selection: EventSelection, options: BulkOptions): Promise<BulkResult<string>> {
    return this.onEvents('discard', selection, options, (ids, audit) => this.store.discard(ids, audit));
  }

  /** Failed, waiting, rejected or dead handlings are tried again now. */
  async retry(selection: HandlingSelection, options: BulkOptions): Promise<BulkResult<HandlingKey>> {
    refuse('retry', [...problemsOfSelection(selection, 'handlings'), ...problemsOfNote(options)]);
    const keys = selection.keys ? this.givenHandlings(selection.keys, options) : this.handlings(selection);
    return this.run('retry', keys, filterOf(selection), options, async (some, audit) => {
      const retried = await this.store.retryInbox(some, audit);
      if (retried.length > 0) this.wake('retry');
      return retried.length;
    });
  }

  /**
   * A consumer that is new gets the events of one type that have ended, through the outbox: they are published to its queue alone, and followed to
   * their end. No compensation handler runs when it cannot take one: such an event is dead, and needs a person. What was pruned cannot come back.
   */
  async backfill(selection: HistorySelection, options: BulkOptions): Promise<BackfillResult> {
    refuse('backfill', [...problemsOfHistory(selection), ...problemsOfNote(options)]);
    const { consumer, type, since } = selection;
    const left = { unfinished: 0, dead: 0, known: 0 };
    const isWanted = (event: PastEvent): boolean => {
      const because = whyLeft(event);
      if (because !== undefined) left[because] += 1;
      return because === undefined;
    };
    const pages: Pages<PastEvent> = (page) => this.store.pastEvents(selection, page);
    const filter = { consumer, type, since: since.toISOString() };
    const oldest = await this.oldest(selection);
    const result = await this.run(
      'backfill',
      idsOf(everything(pages, isWanted)),
      filter,
      options,
      async (ids, audit) => {
        const sent = await this.store.backfill(ids, consumer, audit);
        if (sent.length > 0) this.wake('chase');
        return sent.length;
      },
    );
    return { ...result, oldest, left };
  }

  /** No instance takes from the queue, or retries what is of it, until it is resumed. What is in hand goes on. */
  async pause(queue: QueueName, note: OperationNote): Promise<boolean> {
    refuse('pause', [...problemsOfQueue(queue), ...problemsOfNote(note)]);
    const paused = await this.store.pause(queue, auditOf('pause', note, null));
    if (paused) this.wake('retry');
    return paused;
  }

  async resume(queue: QueueName, note: OperationNote): Promise<boolean> {
    refuse('resume', [...problemsOfQueue(queue), ...problemsOfNote(note)]);
    const resumed = await this.store.resume(queue, auditOf('resume', note, null));
    if (resumed) this.wake('retry');
    return resumed;
  }

  pausedQueues(): Promise<readonly PausedQueue[]> {
    return this.store.pausedQueues();
  }

  /** What people have done, the latest first. @param before id of the last one of the page before */
  audit(before?: string, limit = 100): Promise<readonly AuditRecord[]> {
    return this.store.listAudit(before, Math.min(limit, BATCH));
  }

  /** One event with its history. @returns undefined when it is not in this outbox */
  show(eventId: string): Promise<EventRecord | undefined> {
    return this.store.get(eventId);
  }

  /** Dead events by what they failed of. */
  deadGroups(filter: DeadFilter = {}): Promise<FailureGroups> {
    return deadGroups(this.store, filter);
  }

  /** Handlings that are not handled, by what they failed of. */
  failedGroups(filter: FailedFilter = {}): Promise<FailureGroups> {
    return failedGroups(this.store, filter);
  }

  private async onEvents(
    operation: OperationName,
    selection: EventSelection,
    options: BulkOptions,
    change: (ids: readonly string[], audit: Audit) => Promise<readonly string[]>,
    matches: (event: DeadEvent) => boolean = () => true,
    job?: JobName,
  ): Promise<BulkResult<string>> {
    refuse(operation, [...problemsOfSelection(selection, 'events'), ...problemsOfNote(options)]);
    const ids = selection.ids ? this.given(selection.ids, options) : this.deadIds(selection, matches);
    return this.run(operation, ids, filterOf(selection), options, async (some, audit) => {
      const changed = await change(some, audit);
      if (job && changed.length > 0) this.wake(job);
      return changed.length;
    });
  }

  private async oldest({ consumer, type }: QueueName): Promise<Date | null> {
    for (let behind: string | undefined; ;) {
      const page = await this.store.pastEvents({ consumer, type }, { order: 'oldestFirst', behind, limit: BATCH });
      const found = page.find(({ status }) => status !== 'dead');
      if (found) return found.createdAt;
      if (page.length < BATCH) return null;
      behind = page.at(-1)?.cursor;
    }
  }

  private async run<Item>(
    operation: OperationName,
    parts: AsyncIterable<readonly Item[]>,
    filter: Audit['filter'],
    options: BulkOptions,
    change: (items: readonly Item[], audit: Audit) => Promise<number>,
  ): Promise<BulkResult<Item>> {
    const { runId = newEventId() } = options;
    const audit = { ...auditOf(operation, options, filter), runId };
    if (options.dryRun) return { runId, done: 0, ...(await look(parts)) };
    return { runId, ...(await changeAll(parts, (items) => change(items, audit), options)) };
  }

  /** A dry run leaves out what would be left out. */
  private async *given(ids: readonly string[], options: BulkOptions): AsyncGenerator<readonly string[]> {
    for await (const some of partsOf(ids)) {
      const states = options.dryRun ? await this.store.eventStates(some) : undefined;
      const would = states?.filter(
        (each) => each.status === 'dead' && (options.evenIfCompensated || !each.isCompensated),
      );
      yield would?.map(({ id }) => id) ?? some;
    }
  }

  private async *givenHandlings(
    keys: readonly HandlingKey[],
    options: BulkOptions,
  ): AsyncGenerator<readonly HandlingKey[]> {
    for await (const some of partsOf(keys)) {
      const states = options.dryRun ? await this.store.handlingStates(some) : undefined;
      yield states?.filter(({ status }) => status !== 'handled') ?? some;
    }
  }

  private async *deadIds(
    selection: DeadFilter & { readonly fingerprint?: string },
    matches: (event: DeadEvent) => boolean,
  ): AsyncGenerator<readonly string[]> {
    const { fingerprint, ...filter } = selection;
    const pages: Pages<DeadEvent> = (page) => this.store.deadEvents(filter, page);
    const isChosen = (event: DeadEvent): boolean => matches(event) && isOfKind(fingerprint, event);
    yield* idsOf(everything(pages, isChosen));
  }

  private async *handlings(
    selection: FailedFilter & { readonly fingerprint?: string },
  ): AsyncGenerator<readonly HandlingKey[]> {
    const { fingerprint, ...filter } = selection;
    const pages: Pages<FailedHandling> = (page) => this.store.failedHandlings(filter, page);
    for await (const part of everything(pages, (handling) => isOfKind(fingerprint, handling)))
      yield part.map(({ eventId, consumer, type }) => ({ eventId, consumer, type }));
  }
}

async function* idsOf(parts: AsyncIterable<readonly { readonly id: string }[]>): AsyncGenerator<readonly string[]> {
  for await (const part of parts) yield part.map(({ id }) => id);
}

function whyLeft({ status, hasEnded, isKnown }: PastEvent): keyof BackfillResult['left'] | undefined {
  if (isKnown) return 'known';
  if (status === 'dead') return 'dead';
  return hasEnded ? undefined : 'unfinished';
}

/** One operation, in the audit. */
export function auditOf(operation: OperationName, { by, why }: OperationNote, filter: Audit['filter']): Audit {
  return { operation, runId: newEventId(), by, why: why ?? null, filter };
}

function filterOf(selection: EventSelection | HandlingSelection): Audit['filter'] {
  return 'ids' in selection || 'keys' in selection ? null : { ...selection };
}

async function* partsOf<Item>(items: readonly Item[]): AsyncGenerator<readonly Item[]> {
  for (let from = 0; from < items.length; from += BATCH) yield items.slice(from, from + BATCH);
}
