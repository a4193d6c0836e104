import type { DataSource } from 'typeorm';
import type { NewOutboxEvent } from '../outbox/outbox.store';

/** An event on its way from its commit to the publisher: what the row holds, without reading it. */
export interface CommittedEvent extends NewOutboxEvent {
  /** The claim that the row was born with. */
  readonly token: string;
  /** `performance.now()` when the row was inserted: its lease runs from there. */
  readonly claimedAtMs: number;
}

/** Who takes events over after their commit. Must not throw and must not wait. */
export type CommitListener = (dataSource: DataSource, events: readonly CommittedEvent[]) => void;

/** What became of the events of a transaction that has committed. */
export interface Commit {
  readonly dataSource: DataSource;
  readonly events: readonly CommittedEvent[];
  /** True: ask the table which of them exist before any is published. */
  readonly doubtful: boolean;
}
