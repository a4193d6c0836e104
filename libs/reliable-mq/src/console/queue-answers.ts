import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type QueueState, TRANSPORT, type Transport } from '../broker/transport';
import { HandlerRegistry } from '../consume/handler-registry';
import type { PausedQueue, QueueName } from '../database/audit';
import type { InboxKind } from '../database/operations.store';
import { describeError } from '../event/errors';
import { EventTypes } from '../event/event-types';
import { consumerQueue } from '../event/queue-names';
import type { Queue, QueuesAnswer } from './api';
import { FreshAnswers } from './fresh-answers';
import { time } from './shapes';
import { Sources } from './sources';

const FRESH_MS = 2000;
/** Queues that the broker is asked about at once. */
const AT_ONCE = 4;
/** Questions that are spent on a broker that does not answer: each may take seconds. */
const MAX_UNANSWERED = 3;
const NOT_ASKED = 'the broker does not answer';

interface Known extends QueueName {
  readonly source?: string;
  readonly isOwn: boolean;
  readonly kind?: InboxKind;
  readonly paused?: PausedQueue;
  readonly problem?: string;
}

/** The queues of this application's handlers, of what its inboxes hold, and of those whom its events wait for. */
@Injectable()
export class QueueAnswers {
  private readonly answers = new FreshAnswers<QueuesAnswer>(FRESH_MS);

  constructor(
    private readonly sources: Sources,
    private readonly modules: ModuleRef,
  ) {}

  queues(): Promise<QueuesAnswer> {
    return this.answers.get('all', async () => ({ queues: await this.ask() }));
  }

  private async ask(): Promise<readonly Queue[]> {
    const known = new Map<string, Known>();
    const add = (queue: Known): void => {
      const name = consumerQueue(queue.consumer, queue.type);
      known.set(name, { ...known.get(name), ...queue });
    };
    const isTaken = (queue: QueueName): boolean => known.get(consumerQueue(queue.consumer, queue.type))?.isOwn === true;
    for (const { consumer, type, stores } of this.modules.get(HandlerRegistry, { strict: false }).all())
      add({ consumer, type, source: stores.name, isOwn: true });
    await this.addInboxes(add, isTaken);
    for (const { type, consumers } of this.modules.get(EventTypes, { strict: false }).all())
      for (const consumer of consumers) if (!isTaken({ consumer, type })) add({ consumer, type, isOwn: false });
    return this.withStates([...known].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  private async addInboxes(add: (queue: Known) => void, isTaken: (queue: QueueName) => boolean): Promise<void> {
    for (const source of this.sources.all.filter(({ isOwn }) => isOwn)) {
      try {
        await source.ask(async (operations) => {
          const [kinds, paused] = [await operations.inboxKinds(), await operations.pausedQueues()];
          const common = { source: source.name, isOwn: true };
          for (const kind of kinds.filter((each) => each.unfinished > 0 || isTaken(each))) {
            const { consumer, type } = kind;
            const problem = isTaken(kind) ? {} : { problem: 'no handler of this application takes it' };
            add({ ...common, consumer, type, kind, ...problem });
          }
          for (const each of paused) add({ ...common, consumer: each.consumer, type: each.type, paused: each });
        });
      } catch {
        // Without the inbox; `now` says why.
      }
    }
  }

  private async withStates(known: readonly (readonly [string, Known])[]): Promise<readonly Queue[]> {
    const transport = this.modules.get<Transport>(TRANSPORT, { strict: false });
    const { available, reason } = transport.status();
    const queues: Queue[] = [];
    let unanswered = 0;
    const ask = async (name: string): Promise<{ readonly state?: QueueState; readonly problem?: string }> => {
      if (!available) return { problem: `broker: ${reason ?? 'not available'}` };
      if (unanswered >= MAX_UNANSWERED) return { problem: NOT_ASKED };
      try {
        const state = await transport.queueState(name);
        if (state === undefined) unanswered += 1;
        return state === undefined ? { problem: NOT_ASKED } : { state };
      } catch (error) {
        return { problem: describeError(error, 300) };
      }
    };
    for (let from = 0; from < known.length; from += AT_ONCE) {
      const some = known.slice(from, from + AT_ONCE);
      const answers = await Promise.all(some.map(([name]) => ask(name)));
      queues.push(...some.map(([name, queue], index) => toQueue(name, queue, answers[index] ?? {})));
    }
    return queues;
  }
}

function toQueue(
  name: string,
  { kind, paused, problem: ofInbox, ...queue }: Known,
  { state, problem: ofBroker }: { readonly state?: QueueState; readonly problem?: string },
): Queue {
  const problem = ofInbox ?? ofBroker ?? (state === 'no-queue' ? 'there is no such queue' : undefined);
  return {
    ...queue,
    name,
    ...(typeof state === 'object' && { messages: state.messages, consumers: state.consumers }),
    ...(problem !== undefined && { problem }),
    ...(kind && { unfinished: kind.unfinished, overdueMs: kind.overdueMs }),
    ...(paused && { paused: { since: time(paused.since), by: paused.by, why: paused.why } }),
  };
}
