import { Logger } from '@nestjs/common';
import { EventTypes } from '../event/event-types';
import type { ResolvedOptions } from '../options/resolved-options';
import type { ClaimedEvent } from '../outbox/outbox.store';
import { GiveUp } from '../publish/give-up';
import type { Publisher } from '../publish/publisher';
import type { PublisherGroup } from '../publish/publisher-group';
import type { StoreSet } from '../database/stores';
import type { ReceiptIntake } from '../receipt/receipt-intake';
import { ChaseReceiptsJob } from './chase-receipts.job';
import { PublishDueJob } from './publish-due.job';
import { UnknownTypes } from './unknown-types';
import type { QueueState, Transport } from '../broker/transport';

export const MAX_ATTEMPTS = 3;

const OPTIONS = {
  publish: {
    leaseMs: 30_000,
    bufferBytes: 10_000,
    maxAttempts: MAX_ATTEMPTS,
    backoff: { initialMs: 1000, maxMs: 8000 },
  },
  receipts: { chaseAfterMs: 60_000 },
  compensation: { batchSize: 100 },
} as ResolvedOptions;

/** What a job that asks how full queues are is built from: its store has the events, and its publisher keeps what becomes of them. */
export function askingJobParts(events: readonly ClaimedEvent[]) {
  Logger.overrideLogger(false);
  const asked: string[] = [];
  const fates: string[] = [];
  const stop = new AbortController();
  const broker = {
    available: true,
    answer: (_queue: string): QueueState => undefined,
  };
  const transport: Pick<Transport, 'status' | 'queueState'> = {
    status: () => ({ available: broker.available }),
    queueState: async (queue) => {
      asked.push(queue);
      return broker.answer(queue);
    },
  };
  const publisher: Pick<Publisher, 'submit' | 'postpone' | 'giveUpOn'> = {
    submit: async (publications) => void fates.push(...publications.map(({ id }) => `${id} submitted`)),
    postpone: ({ id }, reason) => void fates.push(`${id} postponed: ${reason}`),
    giveUpOn: ({ id }, reason) => void fates.push(`${id} dead: ${reason}`),
  };
  const claim = () => Promise.resolve({ events, lastDueAt: undefined, isFull: false });
  const set = { name: 'default', outbox: { claim } } as unknown as StoreSet;
  const publishers: Pick<PublisherGroup, 'of'> = { of: () => publisher as Publisher };
  const receipts: { problem: string | undefined; receivesForMs: number } = {
    problem: undefined,
    receivesForMs: Number.POSITIVE_INFINITY,
  };
  const eventTypes = new EventTypes();
  const others = [
    transport as Transport,
    new GiveUp(OPTIONS, eventTypes),
    new UnknownTypes(eventTypes),
    OPTIONS,
  ] as const;
  return {
    publishDue: () => new PublishDueJob(publishers as PublisherGroup, ...others),
    chase: () => new ChaseReceiptsJob(publishers as PublisherGroup, receipts as ReceiptIntake, ...others),
    set,
    stop,
    broker,
    receipts,
    asked,
    fates,
  };
}

/** Published lately, and each of its consumers has a queue of its own. */
export function claimedEvent(id: string, overrides: Partial<ClaimedEvent> = {}): ClaimedEvent {
  return {
    id,
    type: `type ${id}`,
    version: 1,
    payload: '{}',
    headers: null,
    consumers: ['stock', 'mail'],
    confirm: true,
    key: null,
    causationId: null,
    attempts: 2,
    compensationAttempts: 0,
    redrives: 0,
    publishedAgoMs: 1000,
    outcomes: {},
    reason: null,
    overdueMs: 0,
    ...overrides,
  };
}
