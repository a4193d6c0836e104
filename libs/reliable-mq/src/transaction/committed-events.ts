import { AsyncResource } from 'node:async_hooks';
import { Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { Stores } from '../database/stores';
import { describeError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import type { Commit, CommitListener, CommittedEvent } from './committed-event';
import { createLog } from '../log/log';

/**
 * Where committed events leave the recording side. Whoever publishes registers itself here; recording knows nobody.
 * Listeners run outside the committing caller's asynchronous context, so that nothing of it (a transaction, a request) leaks
 * into the publisher's work.
 */
@Injectable()
export class CommittedEvents {
  private readonly logger = createLog();
  private readonly context = new AsyncResource('ReliableMq.CommittedEvents');
  private readonly listeners = new Set<CommitListener>();

  constructor(
    private readonly stores: Stores,
    private readonly hooks: HookRunner,
  ) {}

  onCommit(listener: CommitListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  handOver(commit: Commit): void {
    this.context.runInAsyncScope(() => {
      if (commit.doubtful) void this.handOverExisting(commit);
      else this.notify(commit.dataSource, commit.events);
    });
  }

  /** Asks the table which rows are left. If that fails the rows keep their lease, and the compensation task publishes them. */
  private async handOverExisting({ dataSource, events }: Commit): Promise<void> {
    try {
      const token = events[0]?.token ?? '';
      const existing = await this.stores.of(dataSource)?.outbox.existing(
        events.map(({ id }) => id),
        token,
      );
      this.notify(
        dataSource,
        events.filter(({ id }) => existing?.has(id)),
      );
    } catch (error) {
      this.logger.warn('Committed events could not be looked up and wait for the compensation task', {
        eventIds: events.map(({ id }) => id),
        error: describeError(error),
      });
    }
  }

  private notify(dataSource: DataSource, events: readonly CommittedEvent[]): void {
    if (events.length === 0) return;
    this.hooks.run(
      'committed',
      events.map(({ id, type }) => ({ eventId: id, type })),
    );
    for (const listener of this.listeners) {
      try {
        listener(dataSource, events);
      } catch (error) {
        this.logger.error('A listener of committed events failed; the compensation task publishes them', {
          eventIds: events.map(({ id }) => id),
          error: describeError(error),
        });
      }
    }
  }
}
