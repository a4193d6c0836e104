import {
  describeError,
  HandlerTimeoutError,
  InvalidOptionsError,
  RejectEvent,
  ReliableMqError,
  remarkOn,
  TransactionAbortedError,
} from './errors';

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

  it('say of a timeout whether the pool was exhausted', () => {
    const text = 'Handler "shop" did not finish event 1 within 200 ms; its transaction was rolled back.';
    expect(new HandlerTimeoutError('shop', '1', 200).message).toBe(text);
    expect(new HandlerTimeoutError('shop', '1', 200, 3)).toMatchObject({
      message: `${text} The connection pool was exhausted, 3 caller(s) waited for a connection: raise the DataSource's poolSize, or lower prefetch.`,
      details: { consumer: 'shop', eventId: '1', timeoutMs: 200, waiting: 3 },
    });
  });

  it('keep their cause', () => {
    const cause = new Error('why');
    expect(new RejectEvent('no', { cause })).toMatchObject({ name: 'RejectEvent', reason: 'no', message: 'no', cause });
  });
});

describe('describeError', () => {
  const answering = (message: string, getResponse: () => unknown): Error =>
    Object.assign(new Error(message), { getResponse });

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
      "one of Nest's HTTP exceptions with several messages",
      answering('Bad Request', () => ({ message: ['a is empty', 'b\nis 0', { code: 7 }] })),
      'Error: Bad Request: a is empty, b is 0, { code: 7 }',
    ],
    ['one with another message', answering('No', () => ({ message: 'because' })), 'Error: No: because'],
    ['one with no message of its own', answering('', () => ({ message: 'because' })), 'Error: because'],
    ['one that answers what it is called', answering('No', () => ({ message: 'No' })), 'Error: No'],
    ['one that answers a text', answering('No', () => 'No'), 'Error: No'],
    ['one that answers an object', answering('No', () => ({ status: 400 })), 'Error: No'],
    ['one that answers nothing', answering('No', () => null), 'Error: No'],
    [
      'one that fails to answer',
      answering('No', () => {
        throw new Error();
      }),
      'Error: No',
    ],
    ['one whose answer is no method', Object.assign(new Error('No'), { getResponse: 'yes' }), 'Error: No'],
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

  it('adds what was remarked, which leaves the error as it is', () => {
    const error = new RangeError('too far');
    remarkOn(error, 'as was\nto be expected');
    expect(describeError(error)).toBe('RangeError: too far (as was to be expected)');
    expect(error).toEqual(new RangeError('too far'));
    remarkOn(error, '');
    expect(describeError(error)).toBe('RangeError: too far');
    remarkOn('text', 'of no object');
    expect(describeError('text')).toBe('text');
  });
});
