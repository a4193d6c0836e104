import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type ReliableMqStatistics, STATISTICS_CAP } from '../database/operations.store';
import { describeError } from '../event/errors';
import { ReliableMqHealth } from '../operate/reliable-mq-health';
import type { Now, SourceNow } from './api';
import { FreshAnswers } from './fresh-answers';
import { type ConsoleSource, Sources } from './sources';
import { Totals } from './totals';

/** An answer is the same for all who ask within so many milliseconds. */
const FRESH_MS = 2000;
/** How long an answer waits for one database, in milliseconds. */
const DEADLINE_MS = 3000;

/**
 * What is so at this moment. However many look, each database is asked once in two seconds, and not again while it has not answered: by the
 * partial indexes of what has not ended, so that it costs the same however many rows there are.
 */
@Injectable()
export class NowAnswers {
  private readonly answers = new FreshAnswers<Now>(FRESH_MS);
  private readonly unanswered = new Set<string>();

  constructor(
    private readonly sources: Sources,
    private readonly totals: Totals,
    private readonly modules: ModuleRef,
  ) {}

  async now(): Promise<Now> {
    const answer = await this.answers.get('all', () => this.ask());
    // Counted by this process: they are always the latest.
    return { ...answer, totals: this.totals.all };
  }

  private async ask(): Promise<Now> {
    const [{ status, reasons }, ...sources] = await Promise.all([
      this.modules.get(ReliableMqHealth, { strict: false }).check(),
      ...this.sources.all.map((source) => this.ofSource(source)),
    ]);
    return { at: new Date().toISOString(), health: { status, reasons }, sources, totals: this.totals.all };
  }

  private async ofSource(source: ConsoleSource): Promise<SourceNow> {
    const { name } = source;
    const common = { source: name, cap: STATISTICS_CAP };
    if (this.unanswered.has(name)) return { ...common, problem: `database "${name}" has not answered yet` };
    try {
      return await source.ask(async (operations) => {
        this.unanswered.add(name);
        try {
          const { outbox, inbox } = await operations.statistics();
          const { failed, rejected, dead, oldestOverdueMs } = inbox;
          return { ...common, outbox: withoutSize(outbox), inbox: { failed, rejected, dead, oldestOverdueMs } };
        } finally {
          this.unanswered.delete(name);
        }
      }, DEADLINE_MS);
    } catch (error) {
      return { ...common, problem: describeError(error) };
    }
  }
}

function withoutSize(outbox: ReliableMqStatistics['outbox']): NonNullable<SourceNow['outbox']> {
  const { pending, published, dead, compensating, compensated, needPerson, oldestOverdueMs } = outbox;
  return { pending, published, dead, compensating, compensated, needPerson, oldestOverdueMs };
}
