import {
  HandlerTimeoutError,
  InvalidOptionsError,
  isRejectEvent,
  RejectEvent,
  ReliableMqError,
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

describe('RejectEvent', () => {
  it('is one also when it comes from another copy of the package, or from an older one', () => {
    class OlderRejectEvent extends Error {
      override name = 'RejectEvent';
      readonly reason = 'no';
    }
    const branded = Object.assign(new Error('no'), { [Symbol.for('nestjs-reliable-mq:RejectEvent')]: true });
    class OutOfStock extends RejectEvent {
      override name = 'OutOfStock';
    }
    for (const error of [new RejectEvent('no'), new OutOfStock('no'), new OlderRejectEvent('no'), branded]) {
      expect(isRejectEvent(error)).toBe(true);
    }
  });

  it('is nothing else', () => {
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error();
        },
        getPrototypeOf: () => {
          throw new Error();
        },
      },
    );
    const others = [new Error('no'), { name: 'RejectEvent' }, 'RejectEvent', null, undefined, Symbol('s'), hostile];
    for (const other of others) expect(isRejectEvent(other)).toBe(false);
  });

  it.each<[unknown, string]>([
    [{ a: 1 }, '{ a: 1 }'],
    [undefined, ''],
    [7, '7'],
  ])('has a text for its reason, whatever it was given: %p', (given, text) => {
    expect(new RejectEvent(given as string)).toMatchObject({ reason: text, message: text });
  });
});
