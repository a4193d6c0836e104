import { logLine } from './log-line';

/** What a reader of the line gets: the text, and its details read back. */
function told(details: object): unknown {
  const line = logLine('Something happened', details);
  expect(line).toMatch(/^Something happened \{/);
  return JSON.parse(line.slice('Something happened '.length));
}

describe('a log line', () => {
  it('is the text alone when there is nothing to add', () => {
    expect(logLine('Something happened', undefined)).toBe('Something happened');
  });

  it('tells what JSON has no notation for', () => {
    const details = {
      eventId: 'an-id',
      count: 3n,
      at: new Date(0),
      never: new Date(NaN),
      left: undefined,
      rate: NaN,
      kind: Symbol('s'),
      names: new Set(['a', 'b']),
      byName: new Map([['a', 1]]),
    };
    expect(told(details)).toEqual({
      eventId: 'an-id',
      count: '3n',
      at: '1970-01-01T00:00:00.000Z',
      never: 'invalid date',
      rate: 'NaN',
      kind: 'Symbol(s)',
      names: ['a', 'b'],
      byName: { a: 1 },
    });
  });

  it('tells an error with its causes, and of bytes only how many', () => {
    const error = new Error('no stock', { cause: new Error('connect ECONNREFUSED') });
    expect(told({ error, body: Buffer.from('4111111111111111') })).toEqual({
      error: 'Error: no stock, caused by Error: connect ECONNREFUSED',
      body: '16 bytes',
    });
  });

  it('keeps the ids whatever stands beside them', () => {
    const circular: Record<string, unknown> = { eventId: 'inner' };
    circular['self'] = circular;
    const failing = Object.defineProperty({ eventId: 'an-id', circular }, 'failing', {
      enumerable: true,
      get: () => {
        throw new Error();
      },
    });
    expect(told(failing)).toEqual({
      eventId: 'an-id',
      circular: { eventId: 'inner', self: '…' },
      failing: 'unreadable',
    });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(told({ eventId: 'an-id', proxy })).toEqual({ eventId: 'an-id', proxy: 'unreadable' });
    expect(logLine('Something happened', proxy)).toMatch(/^Something happened "unreadable"$/);
  });

  it('is one line, of bounded length, however much is in it', () => {
    const line = logLine('Something happened', {
      reason: `a\nb${'x'.repeat(100_000)}`,
      eventIds: Array.from({ length: 1000 }, (_, index) => index),
      deep: { deep: { deep: { deep: { deep: 1 } } } },
    });
    expect(line).not.toContain('\n');
    expect(line.length).toBeLessThan(4000);
    expect(line).toContain('"900 more"');
  });
});
