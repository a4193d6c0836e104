import type { ConsumerOutcome } from '../event/outcome';
import { CONSUMER_MAX_LENGTH } from '../event/event-type';
import { isUuid } from '../event/event-id';
import { storableText } from '../event/storable';
import { PLACE_MAX_LENGTH } from '../log/thrown-at';
import type { Receipt } from '../outbox/outbox.store';

/** AMQP `type` of a message of receipts. */
export const RECEIPTS_TYPE = 'reliable-mq.receipts';

/** A receipt on the wire: it names the producer's DataSource too. */
export interface WireReceipt extends Receipt {
  readonly source: string;
}

const MAX_INT = 2 ** 31 - 1;
const OUTCOMES: readonly ConsumerOutcome[] = ['handled', 'retrying', 'rejected', 'dead'];
const MAX_REASON_LENGTH = 1000;
/** Beyond what a consumer of this library ever sends: 500 receipts with the longest reasons. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_RETRY_AFTER_MS = 30 * 24 * 60 * 60 * 1000;

export function encodeReceipts(receipts: readonly WireReceipt[]): Buffer {
  const bounded = receipts.map((receipt) => ({
    ...receipt,
    reason: receipt.reason === null ? null : storableText(receipt.reason, MAX_REASON_LENGTH),
    ...placeOf(receipt.where),
  }));
  return Buffer.from(JSON.stringify({ receipts: bounded }));
}

/** The receipts of a message, whoever sent it; what is not one is counted and left out. */
export function decodeReceipts(body: Buffer): { readonly receipts: readonly WireReceipt[]; readonly invalid: number } {
  if (body.length > MAX_BODY_BYTES) return { receipts: [], invalid: 1 };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    return { receipts: [], invalid: 1 };
  }
  const list = (parsed as { receipts?: unknown } | null)?.receipts;
  if (!Array.isArray(list)) return { receipts: [], invalid: 1 };
  const receipts = list.map(toReceipt).filter((receipt) => receipt !== undefined);
  return { receipts, invalid: list.length - receipts.length };
}

function toReceipt(value: unknown): WireReceipt | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { eventId, source, consumer, outcome, reason, where, retryAfterMs, redrives } = value as Record<
    string,
    unknown
  >;
  if (typeof eventId !== 'string' || !isUuid(eventId)) return undefined;
  if (typeof source !== 'string' || typeof consumer !== 'string') return undefined;
  if (consumer === '' || consumer.length > CONSUMER_MAX_LENGTH || consumer !== storableText(consumer)) return undefined;
  if (!OUTCOMES.includes(outcome as ConsumerOutcome)) return undefined;
  const retry = typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? Math.min(retryAfterMs, MAX_RETRY_AFTER_MS) : 0;
  return {
    eventId: eventId.toLowerCase(),
    source,
    consumer,
    outcome: outcome as ConsumerOutcome,
    reason: typeof reason === 'string' ? storableText(reason, MAX_REASON_LENGTH) : null,
    ...placeOf(where),
    retryAfterMs: outcome === 'retrying' ? retry : null,
    redrives:
      typeof redrives === 'number' && Number.isInteger(redrives) && redrives >= 0 ? Math.min(redrives, MAX_INT) : 0,
  };
}

/** Receipts of what was not thrown, and of former releases, have none. */
function placeOf(where: unknown): { readonly where?: string } {
  return typeof where === 'string' && where !== '' ? { where: storableText(where, PLACE_MAX_LENGTH) } : {};
}

const STRENGTH: Readonly<Record<ConsumerOutcome, number>> = { retrying: 0, rejected: 1, dead: 1, handled: 2 };

/** One receipt per event, consumer and redrive: the strongest, and of equal ones the latest. */
export function strongestReceipts<R extends Receipt>(receipts: readonly R[]): readonly R[] {
  const byKey = new Map<string, R>();
  for (const receipt of receipts) {
    const key = `${receipt.eventId} ${receipt.redrives} ${receipt.consumer}`;
    const known = byKey.get(key);
    if (!known || STRENGTH[receipt.outcome] >= STRENGTH[known.outcome]) byKey.set(key, receipt);
  }
  return [...byKey.values()];
}
