import type { EntityManager } from 'typeorm';
import { createLog } from '../log/log';
import type { Attempts } from './attempt';
import type { BatchPolicy, Handler } from './handler';
import type { QueueHandlers } from './handler-registry';
import type { InboxWriter } from './inbox-writer';
import type { Isolation } from './isolation';
import { type OpenedMessage, readPayload, type ReadMessage } from './message';
import { HANDLED, type Outcome } from './outcome';
import type { Slots } from './slots';

export interface BatchParts {
  readonly attempts: Attempts;
  readonly isolation: Isolation;
  readonly writer: InboxWriter;
  /** Aborted when the process can't wait any longer. */
  readonly stop: AbortSignal;
}

interface Waiting {
  readonly message: OpenedMessage;
  readonly end: (outcome: Promise<Outcome> | Outcome) => void;
}

/**
 * Gathers fresh messages of a batch handler and gives them to it together: one transaction with all inbox rows, one run, one COMMIT.
 * Whatever that fails for, its messages go one by one, each in a transaction of its own, where nobody's failure can be another's.
 */
export class Batches {
  private readonly log = createLog();
  private waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | undefined;
  private readonly policy: BatchPolicy;

  constructor(
    private readonly handler: Handler,
    private readonly slots: Slots,
    private readonly parts: BatchParts,
    /** Brings one message to its end by itself. */
    private readonly alone: (message: OpenedMessage) => Promise<Outcome>,
  ) {
    this.policy = handler.batch as BatchPolicy;
  }

  add(message: OpenedMessage): Promise<Outcome> {
    return new Promise((end) => {
      this.waiting.push({ message, end });
      if (this.waiting.length >= this.policy.size) this.start();
      else this.timer ??= setTimeout(() => this.start(), this.policy.waitMs);
    });
  }

  private start(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const members = this.waiting;
    this.waiting = [];
    void this.run(members);
  }

  private async run(members: readonly Waiting[]): Promise<void> {
    const handled = members.length > 1 ? await this.together(members.map(({ message }) => message)) : new Set();
    for (const { message, end } of members) {
      if (handled.has(message)) {
        end(HANDLED);
        continue;
      }
      const outcome = this.alone(message);
      end(outcome);
      await outcome.catch(() => undefined);
    }
  }

  /** @returns what is handled and committed */
  private async together(messages: readonly OpenedMessage[]): Promise<ReadonlySet<OpenedMessage>> {
    let claimed: readonly ReadMessage[] = [];
    try {
      const outcome = await this.inSlot(async () => {
        const readable = await this.read(messages);
        if (readable.length === 0) return undefined;
        return this.parts.attempts.run({
          handler: this.handler,
          candidates: readable,
          number: 1,
          begin: async (manager, idleLimitMs) => (claimed = await this.begin(readable, manager, idleLimitMs)),
        });
      });
      if (outcome?.kind === 'handled') return new Set(claimed.map(({ opened }) => opened));
      if (outcome && outcome.kind !== 'undecided') this.tell(messages, outcome.reason);
      else if (outcome?.because === 'conflict' || outcome?.because === 'unavailable')
        this.tell(messages, outcome.because);
    } catch (error) {
      this.tell(messages, error);
    }
    return new Set();
  }

  private async inSlot<T>(work: () => Promise<T>): Promise<T> {
    const { isolation } = this.parts;
    await this.slots.take();
    try {
      await this.parts.writer.available(this.handler.stores);
      await isolation.enter();
      try {
        return await work();
      } finally {
        isolation.leave();
      }
    } finally {
      this.slots.give();
    }
  }

  private async read(messages: readonly OpenedMessage[]): Promise<readonly ReadMessage[]> {
    const readings = await Promise.all(messages.map(async (message) => readPayload(message, this.parts.stop)));
    return readings.flatMap((reading) => (reading?.kind === 'event' ? [reading.message] : []));
  }

  /** One INSERT for all; those that others have are left to go alone. */
  private async begin(
    messages: readonly ReadMessage[],
    manager: EntityManager,
    idleLimitMs: number,
  ): Promise<readonly ReadMessage[]> {
    const { stores, consumer, eventType } = this.handler;
    await stores.database.limitIdleTime(manager, idleLimitMs);
    const ids = await stores.inbox.insertHandledAll(
      manager,
      { consumer, type: eventType.type },
      messages.map(({ opened: { key, stored } }) => ({ eventId: key.eventId, stored })),
    );
    return messages.filter(({ opened }) => ids.has(opened.key.eventId));
  }

  private tell(messages: readonly OpenedMessage[], reason: unknown): void {
    const { consumer, eventType } = this.handler;
    this.log.warn('A batch failed; its events are handled one by one', {
      consumer,
      type: eventType.type,
      count: messages.length,
      reason,
    });
  }
}

/** Of each batch handler of a queue. */
export function batchesOf(
  { byVersion }: QueueHandlers,
  slots: Slots,
  parts: BatchParts,
  alone: (message: OpenedMessage) => Promise<Outcome>,
): ReadonlyMap<Handler, Batches> {
  const handlers = [...byVersion.values()].filter(({ batch }) => batch);
  return new Map(handlers.map((handler) => [handler, new Batches(handler, slots, parts, alone)]));
}
