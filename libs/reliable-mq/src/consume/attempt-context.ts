import type { EntityManager } from 'typeorm';
import type { EventContext } from './event-context';
import type { ReadMessage } from './message-reader';

/** What a handler is told, and the means to tell it that its attempt was cut off. */
export interface AttemptContext {
  readonly context: EventContext;
  readonly cutOff: (reason: Error) => void;
}

export function createAttemptContext(message: ReadMessage, attempt: number, manager: EntityManager): AttemptContext {
  const { eventId, handler, producer, headers } = message;
  let cut: AbortController | undefined;
  let cutBecause: Error | undefined;
  return {
    context: {
      eventId,
      type: handler.eventType.type,
      version: handler.eventType.version,
      consumer: handler.consumer,
      attempt,
      producer,
      headers,
      manager,
      // Made when somebody asks for it, which few handlers do.
      get signal() {
        if (!cut) {
          cut = new AbortController();
          if (cutBecause) cut.abort(cutBecause);
        }
        return cut.signal;
      },
    },
    cutOff: (reason) => {
      cutBecause = reason;
      cut?.abort(reason);
    },
  };
}
