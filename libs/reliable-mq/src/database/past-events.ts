import type { OutboxStatus } from '../outbox/outbox.entity';

/** Events of one type, and what a consumer that is new knows of them. */
export interface PastFilter {
  readonly type: string;
  readonly consumer: string;
  /** Those that were recorded from then on; left out: all that are still there. */
  readonly since?: Date | undefined;
}

export interface PastEvent {
  readonly id: string;
  readonly status: OutboxStatus;
  readonly createdAt: Date;
  /** Nobody waits for anything of it. */
  readonly hasEnded: boolean;
  /** The consumer is declared, or has reported something. */
  readonly isKnown: boolean;
  readonly cursor: string;
}
