import { EventTypes } from './event-types';
import { eventTypeOf, ReliableEvent } from './reliable-event.decorator';

function problemsWith(options: unknown): readonly string[] {
  @ReliableEvent(options as never)
  class A {}
  return new EventTypes().add(eventTypeOf(A, 'here'));
}

describe('@ReliableEvent', () => {
  it.each<[string, unknown]>([
    ['its type alone', { type: 'a' }],
    ['options that are undefined', { type: 'a', version: undefined, consumers: undefined, giveUp: undefined }],
    [
      'every option',
      { type: 'a', version: 2, consumers: ['b'], confirm: false, giveUp: { maxAttempts: 2, backoff: { maxMs: 5 } } },
    ],
  ])('takes %s', (_, options) => {
    expect(problemsWith(options)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['a misspelt option', { type: 'a', confrim: false }, 'Unknown option "confrim"; did you mean "confirm"?'],
    ['an option in the singular', { type: 'a', consumer: 'b' }, 'Unknown option "consumer"; did you mean "consumers"?'],
    ['an option that resembles none', { type: 'a', durable: true }, 'Unknown option "durable".'],
    [
      'a misspelt option of a group',
      { type: 'a', giveUp: { maxAttempt: 1 } },
      'Unknown option "giveUp.maxAttempt"; did you mean "giveUp.maxAttempts"?',
    ],
    [
      'one consumer that is no list',
      { type: 'a', consumers: 'abc' },
      `consumers must be an array of names, got "abc": write consumers: ['abc'].`,
    ],
    [
      'consumers that are no list',
      { type: 'a', consumers: { b: true } },
      "consumers must be an array of names, got an object: write consumers: ['…'].",
    ],
    [
      'a key that is no function',
      { type: 'a', key: 'orderId' },
      'key must be a function, got "orderId": write key: (event) => event.orderId.',
    ],
    ['a group that is none', { type: 'a', giveUp: 3 }, 'giveUp must be an object, got 3.'],
  ])('is refused with %s, naming the class', (_, options, problem) => {
    expect(problemsWith(options)).toEqual([`@ReliableEvent on A: ${problem}`]);
  });

  it('takes a key of its own class only', () => {
    class A {
      id!: string;
    }
    class B {
      name!: string;
    }
    ReliableEvent({ type: 'a', key: ({ id }: A) => id })(A);
    // @ts-expect-error -- what is made of an A says nothing of a B
    ReliableEvent({ type: 'b', key: ({ id }: A) => id })(B);
    // @ts-expect-error -- people search by text
    ReliableEvent({ type: 'c', key: (): number => 7 })(B);
    expect(eventTypeOf(A, 'here').key?.({ id: '7' } as A)).toBe('7');
  });

  it('is refused without options, or with its type in their place', () => {
    expect(problemsWith(undefined)).toEqual([
      expect.stringMatching(/^@ReliableEvent on A: type undefined must be words/),
    ]);
    expect(problemsWith('order.created')[0]).toBe(
      '@ReliableEvent on A: options must be an object, got "order.created".',
    );
  });
});
