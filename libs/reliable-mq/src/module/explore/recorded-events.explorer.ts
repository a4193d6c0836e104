import { Inject, Injectable, Optional } from '@nestjs/common';
import { whyNeverRuns } from '../../event/decorated-method';
import { EventTypes } from '../../event/event-types';
import { OptionReader, show } from '../../input/option-reader';
import { ISOLATION_LEVELS } from '../../transaction/isolation-level';
import { CANNOT_RECORD, canRecord, recordedBy } from '../../record/transactional-event.decorator';
import { EventRecorder } from '../../record/event-recorder';
import { Stores } from '../../database/stores';
import type { DiscoveredMethod } from './decorated-methods';
import { readDataSource } from './read-data-source';

/** After a deadlock. Who needs more of them should lock rows in one order. */
const MAX_RETRIES = 100;

/** Finds every `@TransactionalEvent`. */
@Injectable()
export class RecordedEventsExplorer {
  constructor(
    private readonly eventTypes: EventTypes,
    private readonly stores: Stores,
    /** Of an application that records: then every class that is decorated must be able to, with its options. */
    @Optional() @Inject(EventRecorder) private readonly recorder?: EventRecorder,
  ) {}

  /** Makes their event types known. @returns what is wrong with them, each a full sentence */
  explore(methods: readonly DiscoveredMethod[]): readonly string[] {
    const problems: string[] = [];
    for (const { method, instance, isStatic, label } of methods) {
      const recorded = recordedBy(method);
      problems.push(...recorded.flatMap(({ eventType }) => this.eventTypes.add(eventType)));
      if (recorded.length === 0 || !this.recorder) continue;
      const found = recorded.flatMap(({ options }) => problemsOf(options, this.stores));
      const never = whyNeverRuns(method);
      if (never) found.push(never);
      // What is not static is created with each request; its methods say so themselves.
      if (isStatic && !canRecord(instance)) found.push(`its class ${CANNOT_RECORD}`);
      problems.push(...found.map((problem) => `@TransactionalEvent on ${label}: ${problem}`));
    }
    return problems;
  }
}

function problemsOf(options: unknown, stores: Stores): string[] {
  const problems: string[] = [];
  const reader = new OptionReader(options, '', problems);
  readDataSource(reader, stores, problems);
  reader.choice('isolation', 'READ COMMITTED', ISOLATION_LEVELS);
  reader.integer('retryOnDeadlock', 0, 0, MAX_RETRIES);
  const headers = reader.raw('headers');
  if (headers !== undefined && typeof headers !== 'function')
    problems.push(`headers must be a function of the method's arguments, got ${show(headers)}.`);
  reader.refuseUnknown();
  return problems;
}
