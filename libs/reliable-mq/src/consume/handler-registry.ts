import { consumerQueue } from '../event/queue-names';
import type { StoreSet } from '../database/stores';
import { type Handler, handlingLeaseMs, runsAtOnce } from './handler';

/** All handlers of one queue: one consumer and event type, one handler per version, one DataSource. */
export interface QueueHandlers {
  readonly queue: string;
  readonly consumer: string;
  readonly type: string;
  readonly byVersion: ReadonlyMap<number, Handler>;
  /** Messages that the broker may hand out: as many as the most patient of the handlers takes. */
  readonly prefetch: number;
  /** Runs of its handlers at once: as many as the strictest of them allows. */
  readonly runsAtOnce: number;
  /** Those of each handler: whatever becomes of a message, its inbox row is here. */
  readonly stores: StoreSet;
}

/** How long a claimed row of the queue belongs to its claimer, in milliseconds: the longest an attempt of any of its handlers takes. */
export function leaseMsOf({ byVersion }: Pick<QueueHandlers, 'byVersion'>): number {
  return handlingLeaseMs(Math.max(...[...byVersion.values()].map(({ timeoutMs }) => timeoutMs)));
}

/** The handlers of this application. */
export class HandlerRegistry {
  private readonly queues = new Map<string, QueueHandlers & { byVersion: Map<number, Handler> }>();

  /** @returns the handler that has the place already, when there is one */
  add(handler: Handler): Handler | undefined {
    const { consumer, eventType } = handler;
    const queue = consumerQueue(consumer, eventType.type);
    const known = this.queues.get(queue);
    // `a.b` for type `c` and `a` for type `b.c` would share a queue, and each take the other's messages.
    const shared = known && (known.consumer !== consumer || known.type !== eventType.type);
    // A row that one DataSource's retry job claims could never be settled in another one.
    const apart = known && known.stores !== handler.stores;
    const taken =
      known?.byVersion.get(eventType.version) ?? (shared || apart ? [...known.byVersion.values()][0] : undefined);
    if (taken) return taken;
    const byVersion = new Map(known?.byVersion).set(eventType.version, handler);
    const { stores } = handler;
    const prefetch = Math.max(handler.prefetch, known?.prefetch ?? 0);
    const atOnce = Math.min(runsAtOnce(handler), known?.runsAtOnce ?? Number.POSITIVE_INFINITY);
    this.queues.set(queue, { queue, consumer, type: eventType.type, byVersion, prefetch, runsAtOnce: atOnce, stores });
    return undefined;
  }

  all(): readonly QueueHandlers[] {
    return [...this.queues.values()];
  }

  find(consumer: string, type: string): QueueHandlers | undefined {
    return this.queues.get(consumerQueue(consumer, type));
  }
}
