import type { EventType } from '../event/event-type';
import type { EventFailure } from '../event/outcome';

/** A `@Compensate` method, ready to be called. */
export interface CompensationHandler {
  readonly eventType: EventType;
  /** `OrderService#cancel`, for messages. */
  readonly label: string;
  /** @param run its signal is aborted when the run is cut off */
  invoke(event: object, failure: EventFailure, run: { readonly signal: AbortSignal }): Promise<unknown>;
}

/** The compensation handlers of this application, one per event type and version. */
export class CompensationRegistry {
  private readonly handlers = new Map<string, CompensationHandler>();

  /** @returns the handler that has the place already, when there is one */
  add(handler: CompensationHandler): CompensationHandler | undefined {
    const key = `${handler.eventType.type}@${handler.eventType.version}`;
    const taken = this.handlers.get(key);
    if (!taken) this.handlers.set(key, handler);
    return taken;
  }

  find(type: string, version: number): CompensationHandler | undefined {
    return this.handlers.get(`${type}@${version}`);
  }
}
