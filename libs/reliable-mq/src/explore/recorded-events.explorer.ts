import type { EventTypes } from '../domain/event-types';
import { CANNOT_RECORD, canRecord, recordedBy } from '../record/transactional-event.decorator';
import type { DiscoveredMethod } from './decorated-methods';

/**
 * Makes the event types of every `@TransactionalEvent` known.
 * @param producer whether this application records: then every class that is decorated must be able to
 * @returns what is wrong with them, each a full sentence
 */
export function exploreRecordedEvents(
  methods: readonly DiscoveredMethod[],
  eventTypes: EventTypes,
  producer: boolean,
): readonly string[] {
  const problems: string[] = [];
  for (const { method, instance, isStatic, label } of methods) {
    const recorded = recordedBy(method);
    problems.push(...recorded.flatMap((eventType) => eventTypes.add(eventType)));
    // What is not static is created with each request; its methods say so themselves.
    if (recorded.length > 0 && producer && isStatic && !canRecord(instance)) {
      problems.push(`@TransactionalEvent on ${label}: its class ${CANNOT_RECORD}`);
    }
  }
  return problems;
}
