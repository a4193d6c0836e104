import type { InboxKey } from '../inbox/inbox.store';

export type OperationName =
  'redrive' | 'retry' | 'discard' | 'archive' | 'edit' | 'pause' | 'resume' | 'reconcile' | 'backfill';

/** Who does something, and why: a row of the audit is written with the change, in one statement or one transaction. */
export interface Audit {
  readonly operation: OperationName;
  /** The same for all parts of one operation: a UUID. */
  readonly runId: string;
  readonly by: string;
  readonly why: string | null;
  /** What was asked for, when it was not ids. */
  readonly filter: Readonly<Record<string, unknown>> | null;
}

/** What a person has done, or one part of it: large operations are done in parts. */
export interface AuditRecord extends Audit {
  /** UUIDv7. */
  readonly id: string;
  readonly at: Date;
  /** What was changed: event ids, handlings, or the queue. */
  readonly items: readonly unknown[];
  readonly count: number;
}

/** The queue of one consumer. */
export type QueueName = Pick<InboxKey, 'consumer' | 'type'>;

export interface PausedQueue extends QueueName {
  readonly since: Date;
  readonly by: string;
  readonly why: string | null;
}
