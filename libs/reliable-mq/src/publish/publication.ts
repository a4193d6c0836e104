import { HEADER } from '../event/message-headers';
import type { CommittedEvent } from '../transaction/committed-event';
import type { ClaimedEvent, NewOutboxEvent } from '../outbox/outbox.store';
import type { MessageTarget, OutgoingMessage, PublishOutcome } from '../broker/transport';
import { publishTargets } from './publish-target';

/** An event that this process holds a claim on and is about to publish. */
export interface Publication extends NewOutboxEvent {
  readonly token: string;
  /** Number of this attempt, from 1. */
  readonly attempt: number;
  readonly redrives: number;
  readonly targets: readonly MessageTarget[];
  /** `performance.now()` when the claim began. */
  readonly claimedAtMs: number;
}

export interface MessageOrigin {
  readonly service: string;
  /** Name of the DataSource whose outbox the event is in. */
  readonly source: string;
  /** Queue for the receipts. */
  readonly receiptQueue: string;
}

/** An event that a job has claimed. */
export function toPublication(
  event: ClaimedEvent,
  { token, claimedAtMs }: { readonly token: string; readonly claimedAtMs: number },
): Publication {
  const { attempts: attempt, redrives } = event;
  return publicationOf(event, { token, claimedAtMs, attempt, redrives, targets: publishTargets(event) });
}

/** An event that was just committed, born claimed. */
export function toFirstPublication(event: CommittedEvent): Publication {
  const { token, claimedAtMs, type } = event;
  return publicationOf(event, { token, claimedAtMs, attempt: 1, redrives: 0, targets: [{ routingKey: type }] });
}

/** Property by property: thousands a second wait in memory, and what a row holds besides must not wait with them. */
function publicationOf(event: NewOutboxEvent, claim: Omit<Publication, keyof NewOutboxEvent>): Publication {
  const { id, type, version, payload, headers, consumers, confirm, key, causationId } = event;
  return { id, type, version, payload, headers, consumers, confirm, key, causationId, ...claim };
}

/** One message per target; the body is made once. */
export function toMessages(publication: Publication, origin: MessageOrigin): readonly OutgoingMessage[] {
  const body = Buffer.from(publication.payload);
  const headers = headersOf(publication, origin);
  return publication.targets.map((target) => ({
    target,
    messageId: publication.id,
    type: publication.type,
    body,
    headers,
    appId: origin.service,
    ...(publication.confirm ? { replyTo: origin.receiptQueue } : {}),
  }));
}

type Headers = OutgoingMessage['headers'];

/** Headers of messages that have nothing of their own in them, by the version of the event. */
const common = new WeakMap<MessageOrigin, Map<number, Headers>>();

/**
 * Most first attempts have the same headers, and share one object: amqplib makes what it is given the prototype of another object, and V8 lets go of
 * all that it knows of an object that becomes one.
 */
function headersOf(publication: Publication, origin: MessageOrigin): Headers {
  const { headers, version, attempt, redrives, key, causationId } = publication;
  const hasOwn = headers !== null || attempt > 1 || redrives > 0 || key !== null || causationId !== null;
  if (hasOwn) return makeHeaders(publication, origin);
  let byVersion = common.get(origin);
  if (!byVersion) common.set(origin, (byVersion = new Map<number, Headers>()));
  let shared = byVersion.get(version);
  if (!shared) byVersion.set(version, (shared = makeHeaders(publication, origin)));
  return shared;
}

function makeHeaders(publication: Publication, { source }: MessageOrigin): Headers {
  const { headers, version, attempt, redrives, key, causationId } = publication;
  return {
    ...headers,
    [HEADER.version]: version,
    [HEADER.source]: source,
    [HEADER.attempt]: attempt,
    ...(key === null ? {} : { [HEADER.key]: key }),
    ...(causationId === null ? {} : { [HEADER.causation]: causationId }),
    ...(redrives > 0 ? { [HEADER.redrives]: redrives } : {}),
  };
}

const SEVERITY = { routed: 0, unavailable: 1, unroutable: 2, refused: 3 } as const;

/** Of two targets' outcomes the one that decides: an event is published when every target has it. */
export function worse(first: PublishOutcome | undefined, second: PublishOutcome): PublishOutcome {
  return first && SEVERITY[first.status] >= SEVERITY[second.status] ? first : second;
}
