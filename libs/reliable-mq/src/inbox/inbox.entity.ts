import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { AttemptRecord } from '../event/outcome';

/** `failed` and `waiting` rows are due, the latter for a release that handles their version; the others are ends. */
export type InboxStatus = 'handled' | 'failed' | 'waiting' | 'rejected' | 'dead';

export const INBOX_TABLE = 'reliable_mq_inbox';

/**
 * What one consumer knows of one event. Like OutboxEvent it need not be registered, and must not be written through.
 */
@Entity({ name: INBOX_TABLE, synchronize: false })
@Index('reliable_mq_inbox_due', ['consumer', 'type', 'dueAt'], { where: '"due_at" IS NOT NULL' })
@Index('reliable_mq_inbox_waiting', ['consumer', 'type', 'version'], { where: `"status" = 'waiting'` })
@Index('reliable_mq_inbox_suspects', ['dueAt'], { where: '"due_at" IS NOT NULL AND "unfinished_starts" >= 2' })
@Index('reliable_mq_inbox_given_up', ['receivedAt'], { where: `"status" IN ('rejected', 'dead')` })
@Index('reliable_mq_inbox_event_key', ['key', 'receivedAt'], { where: '"event_key" IS NOT NULL' })
@Index('reliable_mq_inbox_ended', ['endedAt'], { where: '"ended_at" IS NOT NULL' })
export class InboxEntry {
  /** The message's id; for a message that could not be read `sha256:` and the hash of its bytes. */
  @PrimaryColumn('varchar', { name: 'event_id', length: 255 })
  eventId!: string;

  @PrimaryColumn('varchar', { length: 100 })
  consumer!: string;

  @PrimaryColumn('varchar', { length: 255 })
  type!: string;

  @Column('integer')
  version!: number;

  @Column('varchar', { length: 10 })
  status!: InboxStatus;

  /** Attempts, counted before they start. */
  @Column('integer')
  attempts!: number;

  /** Attempts in a row that were started and not finished: the process died, or lost its lease. */
  @Column('integer', { name: 'unfinished_starts', default: 0 })
  unfinishedStarts!: number;

  /** The next moment when someone must look; null at an end. */
  @Column('timestamptz', { name: 'due_at', nullable: true })
  dueAt!: Date | null;

  @Column('uuid', { name: 'claim_token', nullable: true })
  claimToken!: string | null;

  /** Why the last attempt failed, or why the message was put aside. */
  @Column('text', { nullable: true })
  reason!: string | null;

  @Column('jsonb', { default: [] })
  history!: AttemptRecord[];

  /** The message's bytes, kept for every row that is not handled. */
  @Column('bytea', { nullable: true })
  body!: Buffer | null;

  /** The message's properties, beside `body`. */
  @Column('jsonb', { nullable: true })
  properties!: Record<string, unknown> | null;

  /** SHA-256 of the message's bytes, for messages that this library did not publish: their ids may have been given to others before. */
  @Column('bytea', { name: 'body_hash', nullable: true })
  bodyHash!: Buffer | null;

  /** How often the producer had sent the event again by hand when this row was last written. */
  @Column('integer', { default: 0 })
  redrives!: number;

  @Column('timestamptz', { name: 'received_at', default: () => 'clock_timestamp()' })
  receivedAt!: Date;

  @Column('timestamptz', { name: 'ended_at', nullable: true })
  endedAt!: Date | null;

  /** What people search the event by. */
  @Column('varchar', { name: 'event_key', length: 200, nullable: true })
  key!: string | null;
}
