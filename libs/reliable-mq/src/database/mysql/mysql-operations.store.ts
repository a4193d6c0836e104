import type { DataSource } from 'typeorm';
import type { InboxKey } from '../../inbox/inbox.store';
import type { OutboxStatus } from '../../outbox/outbox.entity';
import type { Audit, AuditRecord, PausedQueue, QueueName } from '../audit';
import type { PastEvent, PastFilter } from '../past-events';
import type { DeadEvent, DeadFilter, FailedFilter, FailedHandling, Page } from '../failures';
import type {
  EventFilter,
  EventRecord,
  EventState,
  HandlingKey,
  HandlingRecord,
  HandlingState,
  InboxFilter,
  InboxKind,
  InboxRecord,
  OperationsStore,
  ReliableMqStatistics,
  Replacement,
} from '../operations.store';
import { Audits } from './operations/audits';
import { Changes } from './operations/changes';
import { EventLists } from './operations/event-lists';
import { HandlingLists } from './operations/handling-lists';
import { TableCounts } from './operations/table-counts';
import { byKey } from './outbox/outbox-rows';
import { queryAlone } from './sql';
import { toBinary, toUuid } from './values';

/** MySQL and MariaDB: who answers what. */
export class MysqlOperationsStore implements OperationsStore {
  private readonly events: EventLists;
  private readonly handlings: HandlingLists;
  private readonly counts: TableCounts;
  private readonly audits: Audits;
  private readonly changes: Changes;

  constructor(private readonly dataSource: DataSource) {
    this.events = new EventLists(dataSource);
    this.handlings = new HandlingLists(dataSource);
    this.counts = new TableCounts(dataSource);
    this.audits = new Audits(dataSource);
    this.changes = new Changes(dataSource, this.audits);
  }

  list(filter: EventFilter): Promise<readonly EventRecord[]> {
    return this.events.list(filter);
  }

  async get(eventId: string): Promise<EventRecord | undefined> {
    const [event] = await this.events.eventsOf([eventId]);
    return event;
  }

  eventsOf(eventIds: readonly string[]): Promise<readonly EventRecord[]> {
    return this.events.eventsOf(eventIds);
  }

  causedBy(eventIds: readonly string[], limit: number): Promise<readonly EventRecord[]> {
    return this.events.causedBy(eventIds, limit);
  }

  deadEvents(filter: DeadFilter, page: Page): Promise<readonly DeadEvent[]> {
    return this.events.deadEvents(filter, page);
  }

  pastEvents(filter: PastFilter, page: Page): Promise<readonly PastEvent[]> {
    return this.events.pastEvents(filter, page);
  }

  listInbox(filter: InboxFilter): Promise<readonly InboxRecord[]> {
    return this.handlings.list(filter);
  }

  failedHandlings(filter: FailedFilter, page: Page): Promise<readonly FailedHandling[]> {
    return this.handlings.failedHandlings(filter, page);
  }

  handlingsOf(eventIds: readonly string[], limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlings.handlingsOf(eventIds, limit);
  }

  handlingsAfter(key: InboxKey, limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlings.handlingsAfter(key, limit);
  }

  listHandlings(key: string, limit: number): Promise<readonly HandlingRecord[]> {
    return this.handlings.listHandlings(key, limit);
  }

  async statistics(): Promise<ReliableMqStatistics> {
    const { outbox, inbox } = await this.counts.statistics();
    return { outbox, inbox: { ...inbox, paused: await this.pausedQueues() } };
  }

  inboxKinds(): Promise<readonly InboxKind[]> {
    return this.counts.kinds();
  }

  redrive(eventIds: readonly string[], evenIfCompensated: boolean, audit: Audit): Promise<readonly string[]> {
    return this.changes.redrive(eventIds, evenIfCompensated, audit);
  }

  retryInbox(keys: readonly HandlingKey[], audit: Audit): Promise<readonly InboxKey[]> {
    return this.changes.retryInbox(keys, audit);
  }

  discard(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    return this.changes.discard(eventIds, audit);
  }

  archive(eventIds: readonly string[], audit: Audit): Promise<readonly string[]> {
    return this.changes.archive(eventIds, audit);
  }

  replace(eventId: string, by: Replacement, evenIfCompensated: boolean, audit: Audit): Promise<boolean> {
    return this.changes.replace(eventId, by, evenIfCompensated, audit);
  }

  sendAgain(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    return this.changes.sendAgain(eventIds, consumer, audit);
  }

  backfill(eventIds: readonly string[], consumer: string, audit: Audit): Promise<readonly string[]> {
    return this.changes.backfill(eventIds, consumer, audit);
  }

  pause(queue: QueueName, audit: Audit): Promise<boolean> {
    return this.audits.pause(queue, audit);
  }

  resume(queue: QueueName, audit: Audit): Promise<boolean> {
    return this.audits.resume(queue, audit);
  }

  pausedQueues(): Promise<readonly PausedQueue[]> {
    return this.audits.pausedQueues();
  }

  listAudit(before: string | undefined, limit: number): Promise<readonly AuditRecord[]> {
    return this.audits.list(before, limit);
  }

  async eventStates(eventIds: readonly string[]): Promise<readonly EventState[]> {
    if (eventIds.length === 0) return [];
    const rows = await queryAlone<{ id: Buffer; status: OutboxStatus; is_compensated: string; is_archived: string }>(
      this.dataSource,
      `SELECT id, status, compensated_at IS NOT NULL AS is_compensated, archived_at IS NOT NULL AS is_archived FROM ${byKey(this.dataSource)} WHERE id IN (?)`,
      [eventIds.map(toBinary)],
    );
    return rows.map(({ id, status, is_compensated, is_archived }) => ({
      id: toUuid(id),
      status,
      isCompensated: is_compensated === '1',
      isArchived: is_archived === '1',
    }));
  }

  handlingStates(keys: readonly HandlingKey[]): Promise<readonly HandlingState[]> {
    return this.changes.handlings(undefined, keys);
  }
}
