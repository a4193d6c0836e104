import { causationIdOf, causeOf, correlationIdOf, inheritedFrom } from './cause';
import { newEventId } from './event-id';
import { HEADER } from './message-headers';

describe('what an event has of those that were being handled when it was recorded', () => {
  const a = causeOf(newEventId(), { correlationId: 'c' });
  const b = causeOf(newEventId(), { correlationId: 'c' });
  const other = causeOf(newEventId(), { correlationId: 'd' });

  it.each([
    ['nothing of none', [], undefined, null, undefined],
    ['both of one', [a], undefined, a.eventId, 'c'],
    ['of several that share it the correlation id, and no cause', [a, b], undefined, null, 'c'],
    ['nothing of several that share nothing', [a, other], undefined, null, undefined],
    ['both of the one of several that was named', [a, other], other.eventId.toUpperCase(), other.eventId, 'd'],
    ['the cause that was named, although it is not handled', [a], b.eventId, b.eventId, 'c'],
  ] as const)('is %s', (_what, causes, chosen, causationId, correlationId) => {
    expect(inheritedFrom(causes, chosen)).toEqual({ causationId, correlationId });
  });

  it("is no cause that is no UUID, such as a foreign publisher's", () => {
    expect(inheritedFrom([causeOf('order 7', { correlationId: 'c' })], undefined)).toEqual({
      causationId: null,
      correlationId: 'c',
    });
  });

  it('is of a foreign message nothing that could not be stored', () => {
    for (const correlationId of [7, 'x'.repeat(201), 'a\u0000', null, undefined])
      expect(correlationIdOf({ correlationId })).toBeUndefined();
    expect(correlationIdOf(null)).toBeUndefined();
    for (const id of ['order 7', 7, undefined]) expect(causationIdOf({ [HEADER.causation]: id })).toBeUndefined();
    expect(causationIdOf({ [HEADER.causation]: a.eventId })).toBe(a.eventId);
  });
});
