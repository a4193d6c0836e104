import type { Backoff } from '../wait/backoff';
import type { EventType } from '../event/event-type';
import type { StoreSet } from '../database/stores';
import type { BatchContext, EventContext } from './event-context';

/** A handler as it runs: found, checked, with its policy complete. */
export interface Handler {
  readonly consumer: string;
  readonly eventType: EventType;
  readonly stores: StoreSet;
  /** `StockService#deduct`, for messages. */
  readonly label: string;
  readonly prefetch: number;
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  /** It takes several events at once. */
  readonly batch: BatchPolicy | undefined;
  /** Call the method through Nest's external context; a batch handler with an array, and its context. */
  invoke(event: object | readonly object[], context: EventContext | BatchContext): Promise<unknown>;
}

export interface BatchPolicy {
  /** Most events of one run. */
  readonly size: number;
  /** How long a run waits for as many, in milliseconds. */
  readonly waitMs: number;
}

/** Runs of the handler at once, each of which holds a connection. */
export function runsAtOnce({ prefetch, batch }: Pick<Handler, 'prefetch' | 'batch'>): number {
  return batch ? Math.max(1, Math.floor(prefetch / batch.size)) : prefetch;
}

/** How long an attempt's commit may take beyond the handler's own time, in milliseconds. */
export const COMMIT_DEADLINE_MS = 10_000;
const LEASE_MARGIN_MS = 5000;

/** How long a claimed inbox row belongs to its claimer: the longest an attempt can take. */
export function handlingLeaseMs(timeoutMs: number): number {
  return timeoutMs + COMMIT_DEADLINE_MS + LEASE_MARGIN_MS;
}
