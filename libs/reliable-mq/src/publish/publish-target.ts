import { consumerQueue } from '../event/queue-names';
import type { StoredOutcome } from '../outbox/outbox.entity';
import type { MessageTarget } from '../broker/transport';

/**
 * Where an event goes. The first time through the exchange, to everyone; later, when consumers are declared, straight to the
 * queues of those that have not handled it.
 */
export function publishTargets(event: {
  readonly type: string;
  readonly consumers: readonly string[];
  readonly publishedAgoMs: number | null;
  readonly outcomes: Readonly<Record<string, StoredOutcome>>;
}): readonly MessageTarget[] {
  if (event.consumers.length === 0 || event.publishedAgoMs === null) return [{ routingKey: event.type }];
  return missingConsumers(event).map((consumer) => ({ queue: consumerQueue(consumer, event.type) }));
}

/** Declared consumers that have not reported `handled`. */
export function missingConsumers(event: {
  readonly consumers: readonly string[];
  readonly outcomes: Readonly<Record<string, StoredOutcome>>;
}): readonly string[] {
  return event.consumers.filter((consumer) => event.outcomes[consumer]?.outcome !== 'handled');
}
