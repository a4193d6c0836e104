import { Injectable } from '@nestjs/common';
import { EventTypes } from '../event/event-types';
import { createLog } from '../log/log';
import type { ClaimedEvent } from '../outbox/outbox.store';

/** Types come from rows, which anyone may have written: so many are told of. */
const MAX_TOLD = 100;

/**
 * Tells, once per type, of rows whose event class this process has not met: the type was renamed, or its class removed, while rows of the
 * old name were there. They are published like all others, but nobody compensates them, and their consumers may be gone.
 */
@Injectable()
export class UnknownTypes {
  private readonly log = createLog();
  private readonly told = new Set<string>();

  constructor(private readonly eventTypes: EventTypes) {}

  lookAt(events: readonly ClaimedEvent[]): void {
    for (const event of events) {
      const { id, type, version } = event;
      const key = `${type} ${version}`;
      if (this.told.has(key) || this.told.size >= MAX_TOLD || this.eventTypes.find(event)) continue;
      this.told.add(key);
      this.log.warn('An event waits whose class this process does not know; it is published all the same', {
        eventId: id,
        type,
        version,
        advice:
          `If "${type}" was renamed or removed, keep its class, handlers and @Compensate method until its rows have ended. ` +
          'If another service writes to this outbox, or nothing of this type was recorded since the start, all is well.',
      });
    }
  }
}
