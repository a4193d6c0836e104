import { describeError, remarkOn } from './describe-error';

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
    [
      'an object, without its values',
      { status: 404, secret: 'x' },
      'no Error but an object: Object { status, secret }',
    ],
    ['an object without prototype', Object.create(null), 'no Error but an object: without class { }'],
    ['a function', function refuse() {}, 'function refuse'],
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

  describe('tells where an error comes from', () => {
    it('with the cause, and its causes', () => {
      const root = new Error('connect ECONNREFUSED 10.0.0.7:8080');
      const failed = new TypeError('fetch failed', { cause: root });
      expect(describeError(new Error('no stock', { cause: failed }))).toBe(
        'Error: no stock, caused by TypeError: fetch failed, caused by Error: connect ECONNREFUSED 10.0.0.7:8080',
      );
    });

    it('with a cause that is a text, and of one that is an object its keys only', () => {
      expect(describeError(new Error('a', { cause: 'b' }))).toBe('Error: a, caused by b');
      expect(describeError(new Error('a', { cause: { password: 'secret' } }))).toBe(
        'Error: a, caused by no Error but an object: Object { password }',
      );
    });

    it('once, where errors repeat each other or are their own cause', () => {
      const error = new Error('around');
      error.cause = new Error('and around', { cause: error });
      expect(describeError(error)).toBe('Error: around, caused by Error: and around');
      expect(describeError(new Error('same', { cause: new Error('same') }))).toBe('Error: same');
    });

    it('with the errors of an AggregateError, beside its own text, and their causes', () => {
      const first = new Error('first', { cause: new Error('its cause') });
      expect(describeError(new AggregateError([first, 'second'], 'all failed'))).toBe(
        'AggregateError: all failed: Error: first, caused by Error: its cause, second',
      );
      const itself = new AggregateError([], 'of itself');
      itself.errors.push(itself);
      expect(describeError(itself)).toBe('AggregateError: of itself: AggregateError: of itself');
      expect(describeError(new AggregateError(Array.from({ length: 13 }, (_, n) => `no ${n}`)))).toContain('3 more');
    });

    it('also when what is around it is long', () => {
      const text = describeError(new Error('x'.repeat(1_000_000), { cause: new Error('connect ECONNREFUSED') }));
      expect(text).toMatch(/^Error: x+…, caused by Error: connect ECONNREFUSED$/);
      expect(text.length).toBeLessThanOrEqual(1000);
    });
  });

  it('tells a message that is an object', () => {
    const error = Object.assign(new Error(), { message: { code: 'E7', text: 'no stock' } });
    expect(describeError(error)).toBe("Error: { code: 'E7', text: 'no stock' }");
  });

  it('tells of a thrown object no value, whatever its class', () => {
    class Response {
      readonly headers = { authorization: 'Bearer x' };
      readonly card = '4111111111111111';
    }
    expect(describeError(new Response())).toBe('no Error but an object: Response { headers, card }');
    expect(describeError([{ card: '4111111111111111' }])).toBe('no Error but an object: Array { 0 }');
  });

  it('hides the passwords of addresses', () => {
    expect(describeError(new Error('connect to postgres://shop:secret@db:5432/x failed'))).toBe(
      'Error: connect to postgres://shop:***@db:5432/x failed',
    );
  });

  it('gives a text that neither draws on a terminal nor looks like another line', () => {
    expect(
      describeError(new Error('\u001b[2J\u001b[31mfake\nERROR [ReliableMq] all \u0007is \u202ewell\u009b1m')),
    ).toBe('Error: fake ERROR [ReliableMq] all is well');
  });

  it('says what it can of errors that throw when they are looked at, and of frozen ones', () => {
    const failing = {
      get: (): never => {
        throw new Error('getter');
      },
    };
    const error = Object.defineProperties(new Error('x', { cause: 1 }), { message: failing, cause: failing });
    expect(describeError(error)).toBe('Error');
    expect(describeError(Object.defineProperty(new Error('x'), 'name', failing))).toBe('Error: x');
    expect(describeError(Object.freeze(new Error('frozen')))).toBe('Error: frozen');
    expect(describeError(Object.assign(new Error('x'), { name: Symbol('s') }))).toBe('Error: x');
    expect(describeError(Object.assign(new Error('x'), { message: Symbol('s') }))).toBe('Error: Symbol(s)');
  });
});
