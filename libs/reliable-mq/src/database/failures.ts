import type { InboxStatus } from '../inbox/inbox.entity';
import type { InboxKey } from '../inbox/inbox.store';

/** Dead events: all of these hold. */
export interface DeadFilter {
  readonly type?: string;
  readonly key?: string;
  readonly causationId?: string;
  /** Only those that need a person: nobody has undone them, nobody will, and nobody has archived them. */
  readonly needPerson?: boolean;
  /**
   * `true`: only those that a person has archived.
   * @default false: none of them
   */
  readonly archived?: boolean;
}

export type FailedStatus = Exclude<InboxStatus, 'handled'>;

/** Handlings that are not handled: all of these hold. */
export interface FailedFilter {
  readonly status?: FailedStatus;
  readonly consumer?: string;
  readonly type?: string;
  readonly key?: string;
}

/** A part of a list. */
export interface Page {
  readonly order: 'oldestFirst' | 'newestFirst';
  /** `cursor` of the last one of the part before. */
  readonly behind?: string | undefined;
  readonly limit: number;
}

export interface DeadEvent {
  readonly id: string;
  readonly type: string;
  readonly key: string | null;
  readonly reason: string | null;
  /** Where its consumer threw. */
  readonly where?: string | undefined;
  readonly endedAt: Date;
  readonly isCompensated: boolean;
  readonly cursor: string;
}

export interface FailedHandling extends InboxKey {
  readonly status: FailedStatus;
  readonly key: string | null;
  readonly reason: string | null;
  /** Where it was thrown. */
  readonly where?: string | undefined;
  readonly receivedAt: Date;
  readonly cursor: string;
}
