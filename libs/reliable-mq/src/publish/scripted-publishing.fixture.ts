import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { newEventId } from '../event/event-id';
import { EventTypes } from '../event/event-types';
import { HookRunner } from '../event/hook-runner';
import type { Hooks } from '../event/hooks';
import type { OutboxStore, PublishSettlement, Unsettled } from '../outbox/outbox.store';
import type { ResolvedOptions } from '../options/resolved-options';
import type { OutgoingMessage, PublishOutcome, Transport, TransportStatus } from '../broker/transport';
import type { DatabaseFailure } from '../database/port';
import type { StoreSet } from '../database/stores';
import { Wakeups } from '../event/wakeups';
import { GiveUp } from './give-up';
import type { Publication } from './publication';
import { Publisher } from './publisher';

/** Keeps what is published until the test answers. */
export class ScriptedTransport implements Pick<Transport, 'publish' | 'status'> {
  available: TransportStatus = { available: true };
  readonly unanswered: { readonly message: OutgoingMessage; readonly done: (outcome: PublishOutcome) => void }[] = [];

  status(): TransportStatus {
    return this.available;
  }

  /** Thrown instead of taking the message. */
  failure: Error | undefined;

  publish(message: OutgoingMessage, done: (outcome: PublishOutcome) => void): void {
    if (this.failure) throw this.failure;
    this.unanswered.push({ message, done });
  }

  get messageIds(): string[] {
    return this.unanswered.map(({ message }) => message.messageId);
  }

  /** Answers the oldest unanswered messages. */
  answer(count: number, outcome: PublishOutcome = { status: 'routed' }): void {
    for (const { done } of this.unanswered.splice(0, count)) done(outcome);
  }
}

class RefusedStatement extends Error {}

/** Keeps what is settled; fails, or waits, as long as the test wants it to. */
export class ScriptedOutbox implements Pick<OutboxStore, 'settle'> {
  readonly batches: (readonly PublishSettlement[])[] = [];
  failure: Error | undefined;
  /** Events whose outcomes the database refuses, with all that are written in the same statement. */
  refused: ReadonlySet<string> = new Set();
  attempts = 0;
  unsettled: Unsettled[] = [];
  private gate: Promise<void> = Promise.resolve();

  async settle(settlements: readonly PublishSettlement[]): Promise<readonly Unsettled[]> {
    this.attempts += 1;
    await this.gate;
    if (this.failure) throw this.failure;
    if (settlements.some(({ id }) => this.refused.has(id))) throw new RefusedStatement();
    this.batches.push(settlements);
    return this.unsettled;
  }

  get settled(): PublishSettlement[] {
    return this.batches.flat();
  }

  /** Statements do not answer until the returned function is called. */
  hold(): () => void {
    let open: () => void = () => undefined;
    this.gate = new Promise<void>((resolve) => (open = resolve));
    return open;
  }
}

export interface Scripted {
  readonly publisher: Publisher;
  readonly transport: ScriptedTransport;
  readonly outbox: ScriptedOutbox;
  readonly calls: { readonly hook: keyof Hooks; readonly argument: unknown }[];
  readonly dead: () => number;
  readonly dueIn: number[];
}

const OPTIONS: ResolvedOptions['publish'] = {
  leaseMs: 30_000,
  windowSize: 10,
  bufferSize: 20,
  bufferBytes: 10_000,
  confirmTimeoutMs: 10_000,
  maxAttempts: 3,
  backoff: { initialMs: 1000, maxMs: 8000, jitter: 0 },
};

/** @param failing hooks that throw */
export function scripted(options: Partial<ResolvedOptions['publish']> = {}, failing: Partial<Hooks> = {}): Scripted {
  Logger.overrideLogger(false);
  const resolved = { ...OPTIONS, ...options };
  const transport = new ScriptedTransport();
  const outbox = new ScriptedOutbox();
  const calls: Scripted['calls'] = [];
  const hooks = new Proxy(
    {},
    {
      get: (_target, hook: keyof Hooks) => (argument: unknown) => {
        calls.push({ hook, argument });
        (failing[hook] as ((argument: unknown) => void) | undefined)?.(argument);
      },
    },
  );
  let dead = 0;
  const dueIn: number[] = [];
  const wakeups = new Wakeups();
  wakeups.onWake((job, delayMs) => {
    if (job === 'compensate') dead += 1;
    else dueIn.push(delayMs);
  });
  const database = {
    failureOf: (error: unknown): DatabaseFailure => (error instanceof RefusedStatement ? 'refused' : 'unavailable'),
  };
  const publisher = new Publisher(
    { service: 'shop', source: 'default', receiptQueue: 'shop.receipts.quorum' },
    resolved,
    { outbox, database } as unknown as StoreSet,
    transport,
    new GiveUp({ publish: resolved, receipts: { chaseAfterMs: 60_000, coalesceMs: 0 } }, new EventTypes()),
    new HookRunner([hooks]),
    wakeups,
  );
  return { publisher, transport, outbox, calls, dead: () => dead, dueIn };
}

export function publication(overrides: Partial<Publication> = {}): Publication {
  return {
    id: newEventId(),
    type: 'order.created',
    version: 1,
    payload: '{}',
    headers: null,
    consumers: [],
    confirm: true,
    key: null,
    causationId: null,
    token: randomUUID(),
    claimedAtMs: performance.now(),
    attempt: 1,
    redrives: 0,
    targets: [{ routingKey: 'order.created' }],
    ...overrides,
  };
}

export function publications(count: number, overrides: Partial<Publication> = {}): Publication[] {
  return Array.from({ length: count }, () => publication(overrides));
}

/** Let everything that is ready run. */
export async function settleDown(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function ids(items: readonly { readonly id: string }[]): string[] {
  return items.map(({ id }) => id);
}

export function deferred({ calls }: Scripted): unknown[] {
  return calls.filter(({ hook }) => hook === 'deferred').map(({ argument }) => argument);
}

/** Neither window nor buffer is what holds anything back. */
export const ROOMY = { windowSize: 1000, bufferSize: 1000, bufferBytes: 1_000_000 };
