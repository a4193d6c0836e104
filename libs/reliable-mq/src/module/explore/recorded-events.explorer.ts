import type { EventTypes } from '../../event/event-types';
import { OptionReader, show } from '../../input/option-reader';
import { ISOLATION_LEVELS } from '../../transaction/isolation-level';
import { CANNOT_RECORD, canRecord, recordedBy } from '../../record/transactional-event.decorator';
import type { Stores } from '../../database/stores';
import type { DiscoveredMethod } from './decorated-methods';
import { readDataSource } from './read-data-source';

/**
 * Makes the event types of every `@TransactionalEvent` known.
 * @param stores the DataSources that options may name
 * @param producer whether this application records: then every class that is decorated must be able to, with its options
 * @returns what is wrong with them, each a full sentence
 */
export function exploreRecordedEvents(
  methods: readonly DiscoveredMethod[],
  eventTypes: EventTypes,
  stores: Stores,
  producer: boolean,
): readonly string[] {
  const problems: string[] = [];
  for (const { method, instance, isStatic, label } of methods) {
    const recorded = recordedBy(method);
    problems.push(...recorded.flatMap(({ eventType }) => eventTypes.add(eventType)));
    if (recorded.length === 0 || !producer) continue;
    const found = recorded.flatMap(({ options }) => problemsOf(options, stores));
    // What is not static is created with each request; its methods say so themselves.
    if (isStatic && !canRecord(instance)) found.push(`its class ${CANNOT_RECORD}`);
    problems.push(...found.map((problem) => `@TransactionalEvent on ${label}: ${problem}`));
  }
  return problems;
}

function problemsOf(options: unknown, stores: Stores): string[] {
  const problems: string[] = [];
  const reader = new OptionReader(options, '', problems);
  readDataSource(reader, stores, problems);
  reader.choice('isolation', 'READ COMMITTED', ISOLATION_LEVELS);
  const headers = reader.raw('headers');
  if (headers !== undefined && typeof headers !== 'function')
    problems.push(`headers must be a function of the method's arguments, got ${show(headers)}.`);
  reader.refuseUnknown();
  return problems;
}
