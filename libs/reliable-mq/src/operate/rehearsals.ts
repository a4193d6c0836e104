import { Injectable } from '@nestjs/common';
import { Attempts } from '../consume/attempt';
import type { BatchContext, EventContext } from '../consume/event-context';
import type { Handler } from '../consume/handler';
import { HandlerRegistry } from '../consume/handler-registry';
import { type OpenedMessage, openRow, readPayload } from '../consume/message';
import type { InboxRecord } from '../database/operations.store';
import { Stores } from '../database/stores';
import { describeError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import { TransactionContext } from '../transaction/transaction-context';

/** How the command line finds `Rehearsals` in an application, also in one that loads another copy of this package's files. */
export const REHEARSALS = Symbol.for('nestjs-reliable-mq:Rehearsals');
/** Given to an application that is started for rehearsals only: it opens its tables, and consumes, publishes and repairs nothing. */
export const REHEARSING = Symbol.for('nestjs-reliable-mq:Rehearsing');

const MAX_HANDLINGS = 100;
const STACK_MAX_LENGTH = 4000;

export interface Rehearsal {
  readonly eventId: string;
  readonly consumer: string;
  readonly type: string;
  /** `not-run`: the handler was not asked, because there is none here, or nothing to handle. */
  readonly verdict: 'passes' | 'fails' | 'not-run';
  /** Why it does not pass. */
  readonly reason: string | null;
  readonly stack: string | null;
  /** `StockService#deduct` */
  readonly handler: string | null;
  /** Events that it would have recorded. */
  readonly recorded: number;
}

/** Rolls back what has passed. */
class Passed extends Error {}

/** Runs handlers of this build on messages of the inbox, in transactions that are rolled back. */
@Injectable()
export class Rehearsals {
  constructor(
    private readonly stores: Stores,
    private readonly handlers: HandlerRegistry,
    private readonly transactions: TransactionContext,
    private readonly hooks: HookRunner,
  ) {}

  /**
   * Of each consumer of this application that has the event, or of one.
   * @param stop rolls back what runs
   * @returns none where no inbox has it
   */
  async run(eventId: string, consumer: string | undefined, stop: AbortSignal): Promise<readonly Rehearsal[]> {
    const rehearsals: Rehearsal[] = [];
    for (const { operations } of this.stores.all) {
      const filter = { eventId, limit: MAX_HANDLINGS, ...(consumer !== undefined && { consumer }) };
      for (const row of await operations.listInbox(filter)) rehearsals.push(await this.rehearse(row, stop));
    }
    return rehearsals;
  }

  private async rehearse(row: InboxRecord, stop: AbortSignal): Promise<Rehearsal> {
    const { eventId, consumer, type, body, properties } = row;
    const told = { eventId, consumer, type, verdict: 'fails', stack: null, handler: null, recorded: 0 } as const;
    const notRun = (reason: string): Rehearsal => ({ ...told, verdict: 'not-run', reason });
    if (row.status === 'handled' || body === null) return notRun('it is handled: nothing is left to be tried');
    const queue = this.handlers.find(consumer, type);
    if (!queue) return notRun(`this build has no handler of consumer "${consumer}" for "${type}"`);
    const opening = openRow({ eventId, consumer, type, body, properties: properties ?? {} }, queue);
    if (opening.kind === 'unhandled') return notRun(opening.reason);
    if (opening.kind === 'unreadable') return { ...told, reason: opening.reason };
    const handler = opening.handler.label;
    return { ...told, handler, ...(await this.attempt(opening, row.attempts + 1, stop)) };
  }

  private async attempt(
    opened: OpenedMessage,
    number: number,
    stop: AbortSignal,
  ): Promise<Pick<Rehearsal, 'verdict' | 'reason' | 'stack' | 'recorded'>> {
    const reading = await readPayload(opened, stop);
    if (reading?.kind !== 'event')
      return { verdict: 'fails', reason: reading?.reason ?? 'it was stopped', stack: null, recorded: 0 };
    let recorded = 0;
    const stopCounting = this.hooks.add({ recorded: () => void (recorded += 1) });
    const watched = new WatchedHandler(opened.handler);
    const { database } = opened.handler.stores;
    try {
      const outcome = await new Attempts(this.transactions, this.hooks, stop).run({
        handler: watched.handler,
        candidates: [reading.message],
        number,
        begin: async (manager, idleLimitMs) => {
          await database.limitIdleTime(manager, idleLimitMs);
          return [reading.message];
        },
      });
      if (watched.passed) return { verdict: 'passes', reason: null, stack: null, recorded };
      const { thrown } = watched;
      const reason = thrown ? describeError(thrown.error) : reasonOf(outcome);
      return { verdict: 'fails', reason, stack: stackOf(thrown?.error), recorded };
    } finally {
      stopCounting();
    }
  }
}

/** A handler that never commits, and what became of it. */
class WatchedHandler {
  passed = false;
  thrown: { readonly error: unknown } | undefined;

  constructor(private readonly own: Handler) {}

  get handler(): Handler {
    return { ...this.own, invoke: (event, context) => this.invoke(event, context) };
  }

  private async invoke(event: object | readonly object[], context: EventContext | BatchContext): Promise<never> {
    try {
      await this.own.invoke(event, context);
      await this.rehearseCommit(context);
    } catch (error) {
      this.thrown = { error };
      throw error;
    }
    // One that was cut off returns too late.
    this.passed = !context.signal.aborted;
    throw new Passed('rolled back');
  }

  private async rehearseCommit({ manager }: EventContext | BatchContext): Promise<void> {
    const { database } = this.own.stores;
    const { queryRunner } = manager;
    if (!queryRunner) return;
    if (await database.hasLostTransaction(queryRunner))
      throw new Error("it ended the library's transaction by SQL of its own: what it did before is not rolled back");
    await database.rehearseCommit(queryRunner);
  }
}

type Ended = Awaited<ReturnType<Attempts['run']>>;

function reasonOf(outcome: Ended): string {
  if (outcome.kind === 'handled') return 'it was not rolled back';
  if (outcome.kind !== 'undecided') return outcome.reason;
  return outcome.error === undefined ? outcome.because : describeError(outcome.error);
}

function stackOf(error: unknown): string | null {
  return error instanceof Error ? (error.stack?.slice(0, STACK_MAX_LENGTH) ?? null) : null;
}
