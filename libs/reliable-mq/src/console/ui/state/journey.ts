import type { EventDetail, Handling, JourneyAnswer, Reported } from '../../api';

export type Tone = 'good' | 'wait' | 'warn' | 'bad';

export interface Step {
  readonly kind:
    | 'recorded'
    | 'publishFailed'
    | 'published'
    | 'received'
    | 'attemptFailed'
    | 'reported'
    | 'ended'
    | 'compensated'
    | 'archived'
    | 'waits';
  readonly at: string;
  readonly tone: Tone;
  /** A database of the outbox, or a consumer. */
  readonly where: string;
  readonly attempt?: number;
  /** A status, or an outcome. */
  readonly status?: string;
  readonly reason?: string | null;
  /** Where the application threw. */
  readonly thrownAt?: string | undefined;
}

/** One line of the picture: the event itself in its service, or one consumer's handling. */
export interface Lane {
  readonly name: string;
  readonly isConsumer: boolean;
  readonly tone: Tone;
  readonly status: string;
  readonly from: string;
  /** Undefined: not ended. */
  readonly to: string | undefined;
  readonly marks: readonly { readonly at: string; readonly tone: Tone }[];
}

export interface JourneyNode {
  readonly eventId: string;
  readonly type: string;
  /** Undefined: recorded by a service whose database is not configured. */
  readonly event: EventDetail | undefined;
  /** How many events of the journey lie between it and the first cause. */
  readonly depth: number;
  readonly cause: JourneyNode | undefined;
  readonly lanes: readonly Lane[];
  readonly steps: readonly Step[];
  /** Declared consumers of which nothing is known. */
  readonly missing: readonly string[];
}

export interface Journey {
  readonly nodes: readonly JourneyNode[];
  readonly from: string;
  readonly to: string;
}

/** Puts an answer in the order of what happened: causes before what they caused, then by time. */
export function journeyOf(answer: Pick<JourneyAnswer, 'events' | 'handlings'>): Journey | undefined {
  const handlings = groupBy(answer.handlings, ({ eventId }) => eventId);
  const events = new Map(answer.events.map((event) => [event.id, event]));
  const ids = new Set([...events.keys(), ...handlings.keys()]);
  if (ids.size === 0) return undefined;

  const children = groupBy(ids, (id) => {
    const cause = events.get(id)?.causationId ?? undefined;
    return cause !== undefined && cause !== id && ids.has(cause) ? cause : undefined;
  });
  const startOf = (id: string): string => events.get(id)?.createdAt ?? handlings.get(id)?.[0]?.receivedAt ?? '';
  const nodes: JourneyNode[] = [];
  const placed = new Set<string>();
  const place = (id: string, cause: JourneyNode | undefined): void => {
    if (placed.has(id)) return;
    placed.add(id);
    const node = nodeOf(id, events.get(id), handlings.get(id) ?? [], cause);
    nodes.push(node);
    for (const child of byStart(children.get(id) ?? [], startOf)) place(child, node);
  };
  for (const root of byStart(children.get(undefined) ?? [], startOf)) place(root, undefined);
  // Each is named as the other's cause: nothing that recorded them, and shown all the same.
  for (const id of byStart([...ids], startOf)) place(id, undefined);

  const times = nodes.flatMap(({ steps }) => steps.map(({ at }) => at)).sort();
  return { nodes, from: times[0] ?? '', to: times.at(-1) ?? '' };
}

function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function byStart(ids: readonly string[], startOf: (id: string) => string): readonly string[] {
  return [...ids].sort((a, b) => startOf(a).localeCompare(startOf(b)) || a.localeCompare(b));
}

function nodeOf(
  eventId: string,
  event: EventDetail | undefined,
  handlings: readonly Handling[],
  cause: JourneyNode | undefined,
): JourneyNode {
  const known = new Set(handlings.map(({ consumer }) => consumer));
  // What a consumer's own database tells is more than what it reported.
  const reported = (event?.outcomes ?? []).filter(({ consumer }) => !known.has(consumer));
  const steps = [
    ...(event ? stepsOfEvent(event) : []),
    ...handlings.flatMap(stepsOfHandling),
    ...reported.map(stepOfOutcome),
  ].sort((a, b) => a.at.localeCompare(b.at));
  const heardOf = new Set([...known, ...reported.map(({ consumer }) => consumer)]);
  return {
    eventId,
    type: event?.type ?? handlings[0]?.type ?? '',
    event,
    depth: cause ? cause.depth + 1 : 0,
    cause,
    steps,
    lanes: [
      ...(event ? [laneOfEvent(event, steps)] : []),
      ...handlings.map(laneOfHandling),
      ...latestOf(reported).map(laneOfOutcome),
    ],
    missing: (event?.consumers ?? []).filter((consumer) => !heardOf.has(consumer)),
  };
}

function stepsOfEvent(event: EventDetail): readonly Step[] {
  const where = event.source;
  const step = (kind: Step['kind'], at: string | null, tone: Tone, rest: Partial<Step> = {}): Step[] =>
    at === null ? [] : [{ kind, at, tone, where, ...rest }];
  return [
    ...step('recorded', event.createdAt, 'wait'),
    ...event.history.flatMap(({ at, attempt, reason }) => step('publishFailed', at, 'warn', { attempt, reason })),
    ...step('published', event.publishedAt, 'wait'),
    ...step('ended', event.endedAt, toneOf(event.status), { status: event.status, reason: event.reason }),
    ...step('compensated', event.compensatedAt, 'warn'),
    ...step('archived', event.archivedAt, 'wait'),
    ...(event.endedAt === null ? step('waits', event.dueAt, 'wait', { reason: event.reason }) : []),
  ];
}

function stepsOfHandling(handling: Handling): readonly Step[] {
  const { consumer: where, receivedAt, endedAt, dueAt, status, reason, history } = handling;
  return [
    { kind: 'received', at: receivedAt, tone: 'wait', where },
    ...history.map(({ where: thrownAt, ...one }): Step => ({
      kind: 'attemptFailed',
      tone: 'warn',
      where,
      ...one,
      thrownAt,
    })),
    ...(endedAt === null ? [] : [{ kind: 'ended', at: endedAt, tone: toneOf(status), where, status, reason } as const]),
    ...(endedAt === null && dueAt !== null ? [{ kind: 'waits', at: dueAt, tone: 'wait', where, reason } as const] : []),
  ];
}

function stepOfOutcome({ consumer: where, outcome: status, at, reason, where: thrownAt }: Reported): Step {
  return {
    kind: 'reported',
    at,
    tone: toneOf(status),
    where,
    status,
    ...(reason !== undefined && { reason }),
    thrownAt,
  };
}

function laneOfEvent(event: EventDetail, steps: readonly Step[]): Lane {
  return {
    name: event.source,
    isConsumer: false,
    tone: toneOf(event.status),
    status: event.status,
    from: event.createdAt,
    to: event.endedAt ?? undefined,
    marks: steps
      .filter(({ where, kind }) => where === event.source && kind !== 'waits')
      .map(({ at, tone }) => ({ at, tone })),
  };
}

function laneOfHandling(handling: Handling): Lane {
  return {
    name: handling.consumer,
    isConsumer: true,
    tone: toneOf(handling.status),
    status: handling.status,
    from: handling.receivedAt,
    to: handling.endedAt ?? undefined,
    marks: stepsOfHandling(handling)
      .filter(({ kind }) => kind !== 'waits')
      .map(({ at, tone }) => ({ at, tone })),
  };
}

function laneOfOutcome({ consumer, outcome, at }: Reported): Lane {
  const tone = toneOf(outcome);
  return { name: consumer, isConsumer: true, tone, status: outcome, from: at, to: at, marks: [{ at, tone }] };
}

function latestOf(reported: readonly Reported[]): readonly Reported[] {
  return [
    ...new Map([...reported].sort((a, b) => a.at.localeCompare(b.at)).map((one) => [one.consumer, one])).values(),
  ];
}

export function toneOf(status: string): Tone {
  switch (status) {
    case 'consumed':
    case 'handled':
      return 'good';
    case 'dead':
    case 'rejected':
      return 'bad';
    case 'failed':
    case 'retrying':
      return 'warn';
    default:
      return 'wait';
  }
}

/** Where a moment lies between two others, in percent. */
export function placeOf(at: string, from: string, to: string): number {
  const [moment, start, end] = [at, from, to].map((one) => Date.parse(one)) as [number, number, number];
  if (!(end > start)) return 0;
  return Math.min(100, Math.max(0, ((moment - start) / (end - start)) * 100));
}
