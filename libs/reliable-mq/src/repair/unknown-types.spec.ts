import { Logger } from '@nestjs/common';
import { EventTypes } from '../event/event-types';
import { findEventType, ReliableEvent } from '../event/reliable-event.decorator';
import { claimedEvent } from './asking-jobs.fixture';
import { UnknownTypes } from './unknown-types';

@ReliableEvent({ type: 'order.created' })
class OrderCreated {}

describe('UnknownTypes', () => {
  it('are told once each, with what to do', () => {
    const lines: string[] = [];
    Logger.overrideLogger({
      log: () => undefined,
      error: () => undefined,
      warn: (line: string) => void lines.push(line),
    });
    const eventTypes = new EventTypes();
    eventTypes.add(findEventType(OrderCreated)!);
    const types = new UnknownTypes(eventTypes);
    for (const type of ['order.created', 'order.placed', 'order.placed', 'order.paid'])
      types.lookAt([claimedEvent('an-id', { type })]);
    Logger.overrideLogger(false);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('"type":"order.placed"');
    expect(lines[0]).toContain('keep its class');
  });
});
