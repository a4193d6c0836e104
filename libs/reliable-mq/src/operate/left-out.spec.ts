import { idsByReason, notIn, whyHandlingLeftOut } from './left-out';

describe('what an operation left out', () => {
  it('is what was asked for and not done, each once', () => {
    expect(notIn(['a', 'c'], ['a', 'b', 'b', 'c', 'd'])).toEqual(['b', 'd']);
  });

  it('is told by reason, with some ids of each', () => {
    const ids = Array.from({ length: 30 }, (_, index) => `id ${index}`);
    const told = idsByReason(['first', ...ids], (id) => (id === 'first' ? 'one' : 'many'));
    expect(told).toEqual({ one: ['first'], many: [...ids.slice(0, 10), '…'] });
  });

  it.each([
    ['handled', 'handled'],
    ['failed', 'being handled: try again when that has ended'],
  ] as const)('of the inbox for a %s row because: %s', (status, reason) => {
    expect(whyHandlingLeftOut({ eventId: 'an event', consumer: 'shop', type: 'order.created', status })).toBe(reason);
  });
});
