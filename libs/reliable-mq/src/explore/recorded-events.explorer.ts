import type { EventTypes } from '../domain/event-types';
import { recordedBy } from '../record/transactional-event.decorator';
import type { DiscoveredMethod } from './decorated-methods';

/** Makes the event types of every `@TransactionalEvent` known. @returns what is wrong with them, each a full sentence */
export function exploreRecordedEvents(methods: readonly DiscoveredMethod[], eventTypes: EventTypes): readonly string[] {
  return methods.flatMap(({ method }) => recordedBy(method).flatMap((eventType) => eventTypes.add(eventType)));
}
