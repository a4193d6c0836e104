import type {
  AuditEntry,
  AuditPage,
  DryRunAnswer,
  EditAnswer,
  EditRequest,
  EventDetail,
  EventPage,
  FailuresAnswer,
  Handling,
  HandlingPage,
  JourneyAnswer,
  Now,
  OperationRequest,
  Queue,
  QueueAnswer,
  QueueRequest,
  QueuesAnswer,
  Run,
  RunsAnswer,
  Session,
} from '../../libs/reliable-mq/src/console/api';
import { ago, deadEvents, event, events, failedHandlings, handlings, idOf, queues, SOURCES } from './fixtures';

type Query = Readonly<Record<string, string>>;

const PAGE_SIZE = 50;

/** What the console's server would answer of a small shop, and keeps of what was done to it. */
export class MockAnswers {
  readonly events: EventDetail[] = events();
  readonly handlings: Handling[] = handlings();
  readonly queues: Queue[] = queues();
  readonly runs: Run[] = [];
  readonly audited: AuditEntry[] = [];
  deadEvents = deadEvents();
  isQuiet = false;
  /** Its clock, before this machine's. */
  aheadMs = 0;
  private asked = 0;

  constructor(
    readonly role: Session['role'],
    readonly csrf: string,
  ) {}

  get(path: string, query: Query): unknown {
    const id = /^events\/([^/]+)$/.exec(path)?.[1];
    if (id !== undefined) return this.events.find((one) => one.id === id && one.source === query.source);
    switch (path) {
      case 'session':
        return {
          role: this.role,
          actor: 'ada@example.com',
          csrf: this.csrf,
          service: 'order',
          version: '0.1.0',
          sources: SOURCES,
        } satisfies Session;
      case 'now':
        return this.now();
      case 'events':
        return this.eventsOf(query);
      case 'handlings':
        return { handlings: this.matchingHandlings(query) } satisfies HandlingPage;
      case 'journey':
        return this.journeyOf(query.of ?? '');
      case 'failures':
        return this.failuresOf(query);
      case 'queues':
        return { queues: this.queues } satisfies QueuesAnswer;
      case 'audit':
        return { records: this.audited } satisfies AuditPage;
      case 'runs':
        return { runs: this.runs } satisfies RunsAnswer;
      default:
        return undefined;
    }
  }

  post(path: string, body: unknown): unknown {
    const stopped = /^runs\/([^/]+)\/stop$/.exec(path)?.[1];
    if (stopped !== undefined) return this.changeRun(stopped, { state: 'stopped' });
    const edited = /^events\/([^/]+)\/edit-and-redrive$/.exec(path)?.[1];
    if (edited !== undefined) return this.edit(edited, body as EditRequest);
    if (path === 'queues/pause' || path === 'queues/resume')
      return this.pause(body as QueueRequest, path === 'queues/pause');
    return path === 'operations' ? this.operate(body as OperationRequest) : undefined;
  }

  /** As time would. */
  changeRun(runId: string, change: Partial<Run>): Run {
    const index = this.runs.findIndex((run) => run.runId === runId);
    const changed = { ...this.runs[index]!, ...change };
    this.runs[index] = changed;
    return changed;
  }

  private now(): Now {
    this.asked += 1;
    const at = new Date(Date.now() + this.aheadMs).toISOString();
    const flow = this.asked * 40 + Math.round(15 * Math.sin(this.asked));
    return {
      at,
      health: this.isQuiet
        ? { status: 'up', reasons: [] }
        : { status: 'degraded', reasons: ['broker: 1 of 3 nodes is away'] },
      sources: [
        {
          source: 'order',
          cap: 10_000,
          outbox: {
            pending: this.isQuiet ? 0 : 37 + (this.asked % 5),
            published: 120,
            dead: 63,
            compensating: 0,
            compensated: 1,
            needPerson: this.isQuiet ? 0 : 62,
            oldestOverdueMs: this.isQuiet ? 0 : 90_000 + 5_000 * this.asked,
          },
          inbox: { failed: 1, rejected: 0, dead: this.isQuiet ? 0 : 1, oldestOverdueMs: 0 },
        },
        this.isQuiet
          ? { source: 'inventory', cap: 10_000 }
          : { source: 'inventory', cap: 10_000, problem: 'connect ECONNREFUSED 10.0.0.7:3306' },
      ],
      totals: {
        recorded: flow,
        published: flow,
        consumed: flow - 5,
        dead: 2,
        handled: 2 * flow,
        handlingFailed: this.asked,
        duplicate: 0,
      },
    };
  }

  private eventsOf(query: Query): EventPage {
    const matching = this.matchingEvents(query);
    const start = Number(query.before ?? 0);
    const next = start + PAGE_SIZE;
    return { events: matching.slice(start, next), ...(next < matching.length && { next: String(next) }) };
  }

  private matchingEvents(query: Query): EventDetail[] {
    const { source, status, type, key, causationId, needPerson, fingerprint, olderThan } = query;
    return this.events.filter(
      (one) =>
        (source === undefined || one.source === source) &&
        (status === undefined || one.status === status) &&
        (type === undefined || one.type === type) &&
        (key === undefined || one.key === key) &&
        (causationId === undefined || one.causationId === causationId) &&
        (needPerson === undefined ||
          (one.status === 'dead' && one.compensatedAt === null && one.archivedAt === null)) &&
        (fingerprint === undefined || one.status === 'dead') &&
        (olderThan === undefined || one.createdAt <= ago(Number(olderThan) / 60)),
    );
  }

  private matchingHandlings({ source, status, consumer, fingerprint }: Query): Handling[] {
    return this.handlings.filter(
      (one) =>
        (source === undefined || one.source === source) &&
        (status === undefined || one.status === status) &&
        (consumer === undefined || one.consumer === consumer) &&
        (fingerprint === undefined || one.status !== 'handled'),
    );
  }

  private journeyOf(of: string): JourneyAnswer {
    const key = this.events.find(({ id }) => id === of)?.key ?? of;
    return {
      of,
      events: this.events.filter((one) => one.key === key),
      handlings: this.handlings.filter((one) => one.key === key || one.eventId === of),
      isCut: false,
      unread: of === 'A-1002' ? [{ source: 'inventory', problem: 'connect ECONNREFUSED 10.0.0.7:3306' }] : [],
    };
  }

  private failuresOf({ source = 'order', side }: Query): FailuresAnswer {
    return side === 'handlings'
      ? { source, side, groups: failedHandlings(), isCut: true }
      : { source, side: 'events', groups: this.deadEvents, isCut: false };
  }

  private operate(request: OperationRequest): DryRunAnswer | Run {
    const filter = Object.fromEntries(
      Object.entries(request.filter ?? {}).map(([name, value]) => [name, String(value)]),
    );
    const chosen: readonly unknown[] =
      request.ids ??
      request.keys ??
      (request.operation === 'retry'
        ? this.matchingHandlings({ ...filter, source: request.source }).map(({ eventId, consumer }) => ({
            eventId,
            consumer,
          }))
        : this.matchingEvents({ ...filter, source: request.source, status: 'dead' }).map(({ id }) => id));
    if (request.dryRun) return { matched: chosen.length, first: chosen.slice(0, 10) };
    const run: Run = {
      runId: `run-${this.runs.length + 1}`,
      operation: request.operation,
      source: request.source,
      by: 'ada@example.com',
      startedAt: new Date().toISOString(),
      state: 'running',
      matched: chosen.length,
      done: Math.min(1, chosen.length),
    };
    this.runs.unshift(run);
    this.audit(request.operation, run.runId, request.why, chosen, request.filter);
    return run;
  }

  private edit(id: string, { payload, why, source }: EditRequest): EditAnswer {
    const index = this.events.findIndex((one) => one.id === id);
    const old = this.events[index]!;
    this.events[index] = { ...old, archivedAt: new Date().toISOString() };
    const eventId = idOf(900 + this.events.length);
    this.events.push(
      event(0, {
        id: eventId,
        source,
        key: old.key,
        payload,
        causationId: id,
        status: 'pending',
        endedAt: null,
        outcomes: [],
      }),
    );
    this.audit('edit-and-redrive', 'run-of-edit', why, [id], undefined);
    return { eventId };
  }

  private pause({ consumer, type, why }: QueueRequest, isPaused: boolean): QueueAnswer {
    const index = this.queues.findIndex((queue) => queue.consumer === consumer && queue.type === type);
    const { paused, ...queue } = this.queues[index]!;
    const pausedNow = { since: new Date().toISOString(), by: 'ada@example.com', why: why ?? null };
    this.queues[index] = isPaused ? { ...queue, paused: paused ?? pausedNow } : queue;
    this.audit(isPaused ? 'pause' : 'resume', 'run-of-queue', why, [`${consumer}.${type}`], undefined);
    return { changed: isPaused !== (paused !== undefined) };
  }

  private audit(
    operation: string,
    runId: string,
    why: string | undefined,
    items: readonly unknown[],
    filter: AuditEntry['filter'] | undefined,
  ): void {
    const id = String(this.audited.length + 1);
    this.audited.unshift({
      source: 'order',
      id,
      at: new Date().toISOString(),
      operation,
      runId,
      by: 'ada@example.com',
      why: why ?? null,
      filter: filter ?? null,
      items,
      count: items.length,
    });
  }
}
