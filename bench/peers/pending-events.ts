import { randomUUID } from 'node:crypto';
import { type OrderPayload, payload } from '../works/order-payload';

export interface PendingEvent {
  readonly id: string;
  readonly payload: OrderPayload;
}

/** So many events, in portions that one statement can take. */
export function* pendingEvents(count: number, portion = 1_000): Generator<readonly PendingEvent[]> {
  for (let from = 0; from < count; from += portion) {
    yield Array.from({ length: Math.min(portion, count - from) }, (_, index) => {
      const id = randomUUID();
      return { id, payload: payload(id, from + index) };
    });
  }
}
