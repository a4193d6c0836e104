import { describeError, InvalidOptionsError, RejectEvent, ReliableMqError, TransactionAbortedError } from './errors';

describe('errors', () => {
  it('have their own name, a code and details', () => {
    const error = new InvalidOptionsError(['a', 'b']);
    expect(error).toBeInstanceOf(ReliableMqError);
    expect(error).toMatchObject({
      name: 'InvalidOptionsError',
      code: 'INVALID_OPTIONS',
      details: { problems: ['a', 'b'] },
    });
    expect(error.message).toBe('ReliableMqModule cannot start, its options have 2 problem(s):\n  - a\n  - b');
    expect(new TransactionAbortedError().name).toBe('TransactionAbortedError');
  });

  it('keep their cause', () => {
    const cause = new Error('why');
    expect(new RejectEvent('no', { cause })).toMatchObject({ name: 'RejectEvent', reason: 'no', message: 'no', cause });
  });
});

describe('describeError', () => {
  it.each<[string, unknown, string]>([
    ['an error', new TypeError('x is not y'), 'TypeError: x is not y'],
    ['an error without message', new RangeError(), 'RangeError'],
    ['lines', new Error('a\n  b\tc'), 'Error: a b c'],
    ['a text', 'text', 'text'],
    ['a number', 7, '7'],
    ['nothing', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an object', { status: 404 }, '{ status: 404 }'],
    ['an object without prototype', Object.create(null), '[Object: null prototype] {}'],
    ['a NUL character and half a pair', new Error('a\u0000b\ud83d'), 'Error: ab\ufffd'],
    [
      'several errors, as of a refused connection',
      Object.assign(new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')]), { message: '' }),
      'AggregateError: Error: connect ::1, Error: connect 127.0.0.1',
    ],
    [
      'an object that throws when it is looked at',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error();
          },
          getPrototypeOf: () => {
            throw new Error();
          },
        },
      ),
      'something was thrown that has no text',
    ],
  ])('gives one line for %s', (_, thrown, text) => {
    expect(describeError(thrown)).toBe(text);
  });

  it('is cut to its maximum, and no character in two', () => {
    expect(describeError('abcdef', 4)).toBe('abc…');
    expect(describeError('ab😀def', 4).isWellFormed()).toBe(true);
  });
});
