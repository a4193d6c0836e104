import type { EventRecord, HandlingRecord, OperationsStore } from '../database/operations.store';
import { isUuid, lowestEventId } from '../event/event-id';
import { auditOf, type OperationNote } from './operations';

/** Events and handlings of one look. */
const PAGE = 200;
/** Of a page of events: a foreign publisher may use one id for several types. */
const MAX_HANDLINGS = 20 * PAGE;
/** A receipt comes within seconds: what was handled after that long ago may still be on its way, in milliseconds. */
const SETTLED_MS = 60_000;

/**
 * - `consumer-lost-it`: the producer knows that it was handled, the inbox does not know it: the consumer's database was set back. It is sent again.
 * - `receipt-lost`: it has ended in the inbox, and the producer waits for that: a receipt was lost, or the producer's database was set back. It is
 *   sent again, and the consumer answers with its receipt.
 * - `producer-lost-it`: it was handled, and the outbox does not know it: the producer's database was set back, and its business went with it. There
 *   is nothing to send.
 */
export type DifferenceKind = 'consumer-lost-it' | 'receipt-lost' | 'producer-lost-it';

export interface Difference {
  readonly kind: DifferenceKind;
  readonly eventId: string;
  readonly type: string;
  readonly key: string | null;
  readonly consumer: string;
  /** It is sent again. False where that was not asked for, or cannot be. */
  readonly repaired: boolean;
}

export interface ReconcileOptions {
  readonly producer: Pick<OperationsStore, 'list' | 'eventStates' | 'sendAgain'>;
  readonly consumer: Pick<OperationsStore, 'handlingsOf' | 'handlingsAfter'>;
  /** Names of the consumers whose inbox it is. */
  readonly names: readonly string[];
  /** Event types of the producer beside those that its outbox still has. */
  readonly types: readonly string[];
  /** Events that were recorded from then on. */
  readonly since: Date;
  /** `retention.outboxHours` of the producer: an older event that has ended may have been pruned. */
  readonly outboxHours: number;
  /** `retention.inboxHours` of the consumer: an older handling may have been pruned. */
  readonly inboxHours: number;
  /** Send again, and who does that. */
  readonly repair?: OperationNote | undefined;
}

/**
 * Compares the outbox of a producer with the inbox of one of its consumers, while both work: events that one side believes to have ended and the
 * other does not know. Page by page, along the primary keys.
 *
 * Each page is read first where an event comes to its end last, so that what happens between the two looks is no difference.
 */
export async function* reconcile(options: ReconcileOptions): AsyncGenerator<readonly Difference[]> {
  const types = new Set(options.types);
  const audit = auditOf('reconcile', options.repair ?? { by: '' }, {
    consumers: options.names,
    since: options.since.toISOString(),
  });
  for await (const events of eventsSince(options)) {
    for (const { type } of events) types.add(type);
    const differences = await compare(events, options);
    if (differences.length > 0) yield options.repair ? await sendAgain(differences, options, audit) : differences;
  }
  for await (const handlings of handlingsSince(options)) {
    const own = handlings.filter(({ type }) => types.has(type));
    const differences = await unknownToProducer(own, options);
    if (differences.length > 0) yield differences;
  }
}

async function* eventsSince({ producer, since }: ReconcileOptions): AsyncGenerator<readonly EventRecord[]> {
  const lowest = lowestEventId(since.getTime());
  for (let before: string | undefined; ;) {
    const page = await producer.list({ limit: PAGE, ...(before !== undefined && { before }) });
    const events = page.filter(({ id }) => id >= lowest);
    if (events.length > 0) yield events;
    if (events.length < PAGE) return;
    before = events.at(-1)?.id;
  }
}

/** What one side knows of these events and the other does not. */
async function compare(events: readonly EventRecord[], options: ReconcileOptions): Promise<readonly Difference[]> {
  const { consumer, names, inboxHours } = options;
  const found = await consumer.handlingsOf(
    events.map(({ id }) => id),
    MAX_HANDLINGS,
  );
  const handlings = new Map(found.map((handling) => [keyOf(handling.eventId, handling), handling]));
  const keptFrom = hoursAgo(inboxHours - 1);
  return events.flatMap((event) =>
    names.flatMap((name): Difference[] => {
      const handling = handlings.get(keyOf(event.id, { consumer: name, type: event.type }));
      const kind = differenceOf(event, name, handling, keptFrom);
      return kind
        ? [{ kind, eventId: event.id, type: event.type, key: event.key, consumer: name, repaired: false }]
        : [];
    }),
  );
}

function differenceOf(
  { status, outcomes, dueAt }: EventRecord,
  name: string,
  handling: HandlingRecord | undefined,
  keptFrom: number,
): DifferenceKind | undefined {
  // A dead event is a person's to decide on; a pending one is published by itself; one that has ended without receipts waits for none.
  if (status === 'dead' || status === 'pending' || (status === 'published' && dueAt === null)) return undefined;
  const reported = outcomes.find(({ consumer }) => consumer === name);
  const isFinal = reported !== undefined && reported.outcome !== 'retrying';
  if (!handling) {
    const isKept = reported?.outcome === 'handled' && Date.parse(reported.at) > keptFrom;
    return isKept ? 'consumer-lost-it' : undefined;
  }
  const hasEnded = handling.endedAt !== null && handling.endedAt.getTime() < Date.now() - SETTLED_MS;
  return status === 'published' && !isFinal && hasEnded ? 'receipt-lost' : undefined;
}

async function sendAgain(
  differences: readonly Difference[],
  { producer, names }: ReconcileOptions,
  audit: Parameters<OperationsStore['sendAgain']>[2],
): Promise<readonly Difference[]> {
  const sent = new Set<string>();
  for (const name of names) {
    const ids = differences.filter(({ consumer }) => consumer === name).map(({ eventId }) => eventId);
    if (ids.length > 0) for (const id of await producer.sendAgain(ids, name, audit)) sent.add(`${id} ${name}`);
  }
  return differences.map((each) => ({ ...each, repaired: sent.has(`${each.eventId} ${each.consumer}`) }));
}

async function* handlingsSince({
  consumer,
  names,
  since,
  outboxHours,
}: ReconcileOptions): AsyncGenerator<readonly HandlingRecord[]> {
  // An hour of what the outbox keeps is left out: hosts' clocks may differ from the database's.
  const from = Math.max(since.getTime(), hoursAgo(outboxHours - 1));
  let after = { eventId: lowestEventId(from), consumer: '', type: '' };
  for (;;) {
    const page = await consumer.handlingsAfter(after, PAGE);
    yield page.filter(
      ({ eventId, consumer: name, status }) => isUuid(eventId) && names.includes(name) && status === 'handled',
    );
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = { eventId: last.eventId, consumer: last.consumer, type: last.type };
  }
}

async function unknownToProducer(
  handlings: readonly HandlingRecord[],
  { producer }: ReconcileOptions,
): Promise<readonly Difference[]> {
  if (handlings.length === 0) return [];
  const states = await producer.eventStates(handlings.map(({ eventId }) => eventId));
  const known = new Set(states.map(({ id }) => id));
  return handlings
    .filter(({ eventId }) => !known.has(eventId.toLowerCase()))
    .map(({ eventId, type, key, consumer }) => ({
      kind: 'producer-lost-it',
      eventId,
      type,
      key,
      consumer,
      repaired: false,
    }));
}

function hoursAgo(hours: number): number {
  return Date.now() - hours * 3_600_000;
}

function keyOf(eventId: string, { consumer, type }: { readonly consumer: string; readonly type: string }): string {
  return JSON.stringify([eventId, consumer, type]);
}
