import { EventTypes } from './event-types';
import type { EventType } from './event-type';

class A {
  id!: string;
}
class B {
  id!: string;
}

const eventType = (own: Partial<EventType> = {}): EventType => ({
  type: 'order.created',
  version: 1,
  eventClass: A,
  consumers: [],
  confirm: true,
  giveUp: {},
  ...own,
});

describe('event types', () => {
  it('are found by type and version', () => {
    const types = new EventTypes();
    expect(types.add(eventType())).toEqual([]);
    expect(types.add(eventType({ version: 2, eventClass: B }))).toEqual([]);
    expect(types.find({ type: 'order.created', version: 2 })?.eventClass).toBe(B);
    expect(types.find({ type: 'order.created', version: 3 })).toBeUndefined();
    expect(types.all()).toHaveLength(2);
  });

  it('may be added again, but not by another class', () => {
    const types = new EventTypes();
    types.add(eventType());
    expect(types.add(eventType())).toEqual([]);
    expect(types.add(eventType({ eventClass: B }))).toEqual([
      expect.stringMatching(
        /^Classes A and B are both the event order\.created@1\. Give one of them another type, or another version/,
      ) as string,
    ]);
    expect(types.find({ type: 'order.created', version: 1 })?.eventClass).toBe(A);
  });

  it('tells a class that was loaded twice from two classes', () => {
    const types = new EventTypes();
    const copyOfA = { A: class {} }.A;
    types.add(eventType());
    expect(types.add(eventType({ eventClass: copyOfA }))).toEqual([
      expect.stringMatching(/^Two classes A are both the event order\.created@1: .* loaded from two places/) as string,
    ]);
  });

  it.each<[string, Partial<EventType>, string]>([
    ['an empty type', { type: '' }, 'type "" must be words'],
    ['a type with a space', { type: 'order created' }, 'must be words'],
    ['a type with an empty word', { type: 'order..created' }, 'must be words'],
    ['a pattern as type', { type: 'order.*' }, 'must be words'],
    ['a long type', { type: 'a'.repeat(121) }, 'at most 120 characters'],
    ['no type', { type: undefined }, 'must be words'],
    ['a reserved type', { type: 'receipts' }, 'reserved'],
    ['version 0', { version: 0 }, 'version 0 must be a whole number from 1'],
    ['half a version', { version: 1.5 }, 'version 1.5'],
    ['a version that no integer column takes', { version: 2 ** 31 }, 'to 2147483647'],
    ['an invalid consumer', { consumers: ['in ventory'] }, 'consumer "in ventory"'],
    ['a consumer twice', { consumers: ['a', 'a'] }, 'names one consumer twice'],
    ['no attempts', { giveUp: { maxAttempts: 0 } }, 'giveUp.maxAttempts 0'],
    ['a jitter above 1', { giveUp: { backoff: { jitter: 2 } } }, 'giveUp.backoff.jitter 2 is out of range'],
    ['a delay that is no number', { giveUp: { backoff: { maxMs: NaN } } }, 'giveUp.backoff.maxMs NaN is out of range'],
    ['an unknown backoff option', { giveUp: { backoff: { minMs: 1 } as never } }, 'giveUp.backoff.minMs is unknown'],
    [
      'delays that contradict each other',
      { giveUp: { backoff: { initialMs: 10, maxMs: 5 } } },
      'giveUp.backoff.maxMs (5) must not be below giveUp.backoff.initialMs (10)',
    ],
  ])('are refused, naming the class: %s', (_, own, problem) => {
    const types = new EventTypes();
    const problems = types.add(eventType(own));
    expect(problems).toEqual([expect.stringContaining(problem) as string]);
    expect(problems[0]).toMatch(/^@ReliableEvent on A: /);
    expect(types.all()).toEqual([]);
  });

  it('have all their problems told at once', () => {
    expect(new EventTypes().add(eventType({ type: '', version: 0, consumers: ['?'] }))).toHaveLength(3);
  });
});
