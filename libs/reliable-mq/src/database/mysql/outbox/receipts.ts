import type { ConsumerOutcome } from '../../../event/outcome';
import type { OutboxStatus, StoredOutcome } from '../../../outbox/outbox.entity';
import type { Receipt } from '../../../outbox/outbox.store';

type Outcomes = Readonly<Record<string, StoredOutcome>>;

/** What a row says that decides what its receipts do. */
export interface ReportedRow {
  readonly status: OutboxStatus;
  /** Those that must each report `handled`; none: the first to report ends the event. */
  readonly consumers: readonly string[];
  readonly outcomes: Outcomes;
  readonly redrives: number;
}

/** What follows from the receipts of one row. */
export interface Verdict {
  readonly outcomes: Outcomes;
  readonly status: OutboxStatus;
  /** Why it is dead, if it is from now on. */
  readonly failure: string | null;
  /** When the consumer that tries again longest from now does, in milliseconds; null when none does, or not all have reported. */
  readonly retryMs: number | null;
  /** Consumers whose outcome is another one than before. */
  readonly changed: readonly string[];
}

/** What comes later in this list is said by the consumer that knows more. */
const STRENGTH: readonly ConsumerOutcome[] = ['retrying', 'rejected', 'dead', 'handled'];

/**
 * `handled` is never overwritten, and `retrying` never overwrites a final outcome: receipts may arrive in any order. Only declared
 * consumers decide, where there are any. An ended event keeps its status; the outcome is kept beside it.
 * @param at when they were stored, ISO 8601
 */
export function judge(row: ReportedRow, receipts: readonly Receipt[], at: string): Verdict {
  const news = receipts.filter((receipt) => isNews(row, receipt));
  const outcomes = { ...row.outcomes };
  for (const { consumer, outcome, reason, where } of [...news].sort(byStrength))
    outcomes[consumer] = { outcome, reason, at, ...(where !== undefined && { where }) };
  const decides = (consumer: string): boolean => row.consumers.length === 0 || row.consumers.includes(consumer);
  const reported = Object.entries(outcomes).filter(([consumer]) => decides(consumer));
  const waits = news.filter(({ consumer, outcome }) => outcome === 'retrying' && decides(consumer));
  const retries = waits.flatMap(({ retryAfterMs }) => retryAfterMs ?? []);
  const hasEnded = row.status === 'consumed' || row.status === 'dead';
  const failure = failureIn(reported);
  const isComplete = isConsumed(row.consumers, reported);
  return {
    outcomes,
    status: hasEnded ? row.status : isComplete ? 'consumed' : failure === null ? 'published' : 'dead',
    failure: isComplete ? null : failure,
    retryMs: retries.length > 0 && reported.length >= row.consumers.length ? Math.max(...retries) : null,
    changed: news
      .filter(({ consumer, outcome }) => row.outcomes[consumer]?.outcome !== outcome)
      .map(({ consumer }) => consumer),
  };
}

function isNews({ outcomes, redrives }: ReportedRow, receipt: Receipt): boolean {
  const known = outcomes[receipt.consumer]?.outcome;
  if (known === 'handled') return false;
  if (receipt.outcome === 'retrying' && (known === 'rejected' || known === 'dead')) return false;
  return receipt.outcome === 'handled' || receipt.redrives >= redrives;
}

function byStrength(a: Receipt, b: Receipt): number {
  return STRENGTH.indexOf(a.outcome) - STRENGTH.indexOf(b.outcome);
}

/** @param reported of those that decide */
export function isConsumed(
  consumers: readonly string[],
  reported: readonly (readonly [string, { readonly outcome: ConsumerOutcome }])[],
): boolean {
  const handled = reported.filter(([, { outcome }]) => outcome === 'handled').length;
  return consumers.length === 0 ? handled > 0 : handled === consumers.length;
}

/** The first of them by name. */
function failureIn(reported: readonly (readonly [string, StoredOutcome])[]): string | null {
  const failures = reported
    .filter(([, { outcome }]) => outcome === 'rejected' || outcome === 'dead')
    .map(([consumer, { outcome, reason }]) => `${consumer} ${outcome}: ${reason ?? 'no reason given'}`);
  return failures.sort()[0] ?? null;
}
