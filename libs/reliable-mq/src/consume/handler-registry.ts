import { consumerQueue } from '../domain/queue-names';
import type { Handler } from './handler';

/** All handlers of one queue: one consumer and event type, one handler per version. */
export interface QueueHandlers {
  readonly queue: string;
  readonly consumer: string;
  readonly type: string;
  readonly byVersion: ReadonlyMap<number, Handler>;
  readonly prefetch: number;
}

/** The handlers of this application. */
export class HandlerRegistry {
  private readonly queues = new Map<string, QueueHandlers & { byVersion: Map<number, Handler> }>();

  /** @returns the handler that has the place already, when there is one */
  add(handler: Handler): Handler | undefined {
    const { consumer, eventType } = handler;
    const queue = consumerQueue(consumer, eventType.type);
    const known = this.queues.get(queue);
    const taken = known?.byVersion.get(eventType.version);
    if (taken) return taken;
    const byVersion = new Map(known?.byVersion).set(eventType.version, handler);
    const prefetch = Math.max(handler.prefetch, known?.prefetch ?? 0);
    this.queues.set(queue, { queue, consumer, type: eventType.type, byVersion, prefetch });
    return undefined;
  }

  all(): readonly QueueHandlers[] {
    return [...this.queues.values()];
  }

  find(consumer: string, type: string): QueueHandlers | undefined {
    return this.queues.get(consumerQueue(consumer, type));
  }
}
