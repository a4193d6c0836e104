import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { AttemptRecord, ConsumerOutcome } from '../event/outcome';

/** Where an event is: see docs/architecture.md for the transitions. */
export type OutboxStatus = 'pending' | 'published' | 'consumed' | 'dead';

/** What `outcomes` holds per consumer. */
export interface StoredOutcome {
  readonly outcome: ConsumerOutcome;
  readonly reason: string | null;
  readonly at: string;
  /** Where the application threw: `StockService.deduct (stock.service.ts:41)`; left out where that is not known. */
  readonly where?: string | undefined;
}

export const OUTBOX_TABLE = 'reliable_mq_outbox';

/**
 * A recorded event. The library itself reads and writes this table through its store, so the entity need not be registered;
 * register it to look at events with repositories of your own. Do not write through it.
 */
@Entity({ name: OUTBOX_TABLE, synchronize: false })
@Index('reliable_mq_outbox_due', ['status', 'dueAt'], { where: '"due_at" IS NOT NULL' })
@Index('reliable_mq_outbox_dead', ['id'], { where: `"status" = 'dead'` })
@Index('reliable_mq_outbox_person', ['id'], {
  where: `"status" = 'dead' AND "due_at" IS NULL AND "compensated_at" IS NULL AND "archived_at" IS NULL`,
})
@Index('reliable_mq_outbox_event_key', ['key', 'id'], { where: '"event_key" IS NOT NULL' })
@Index('reliable_mq_outbox_causation', ['causationId', 'id'], { where: '"causation_id" IS NOT NULL' })
export class OutboxEvent {
  /** Event id, UUIDv7. */
  @PrimaryColumn('uuid')
  id!: string;

  @Column('varchar', { length: 120 })
  type!: string;

  @Column('integer')
  version!: number;

  /** The payload as it was serialised; `json` and not `jsonb`, so that the bytes published later are the bytes recorded. */
  @Column('json')
  payload!: unknown;

  /** Headers that the recorder was given; null for none. */
  @Column('jsonb', { nullable: true })
  headers!: Record<string, string | number | boolean> | null;

  /** Consumers that must each report `handled`; empty: the first to report ends the event. */
  @Column('jsonb')
  consumers!: string[];

  /** Whether receipts are expected. */
  @Column('boolean')
  confirm!: boolean;

  @Column('varchar', { length: 10 })
  status!: OutboxStatus;

  /** Attempts to publish, counted when the row is claimed; the one that it is born with counts when its outcome is written. */
  @Column('integer')
  attempts!: number;

  /** The next moment when someone must look; null at an end. */
  @Column('timestamptz', { name: 'due_at', nullable: true })
  dueAt!: Date | null;

  /** Who holds the row until `due_at`; every settle is conditional on it. */
  @Column('uuid', { name: 'claim_token', nullable: true })
  claimToken!: string | null;

  /** Why the last attempt did not succeed, or why the event is dead. */
  @Column('text', { nullable: true })
  reason!: string | null;

  /** The newest failed attempts. */
  @Column('jsonb', { default: [] })
  history!: AttemptRecord[];

  /** Latest outcome per consumer. */
  @Column('jsonb', { default: {} })
  outcomes!: Record<string, StoredOutcome>;

  /** How often a person sent it again after it was dead. */
  @Column('integer', { default: 0 })
  redrives!: number;

  /** Runs of the compensation handler that were started. */
  @Column('integer', { name: 'compensation_attempts', default: 0 })
  compensationAttempts!: number;

  @Column('timestamptz', { name: 'created_at', default: () => 'clock_timestamp()' })
  createdAt!: Date;

  /** When the broker last confirmed it. */
  @Column('timestamptz', { name: 'published_at', nullable: true })
  publishedAt!: Date | null;

  /** When it reached its end. */
  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;

  /** When its compensation handler committed. */
  @Column('timestamptz', { name: 'compensated_at', nullable: true })
  compensatedAt!: Date | null;

  /** What people search it by. */
  @Column('varchar', { name: 'event_key', length: 200, nullable: true })
  key!: string | null;

  /** Id of the event that was being handled when this one was recorded. */
  @Column('uuid', { name: 'causation_id', nullable: true })
  causationId!: string | null;

  /** When a person has dealt with it, dead as it is. */
  @Column('timestamptz', { name: 'archived_at', nullable: true })
  archivedAt!: Date | null;
}
