import { PLACE_MAX_LENGTH, thrownAt, withoutLine } from './thrown-at';

function withStack(stack: unknown, cause?: unknown): Error {
  return Object.assign(new Error('broken', { cause }), { stack });
}

describe('where something was thrown', () => {
  it.each([
    [
      'Error: a\n    at StockService.deduct (/app/dist/stock.service.js:41:11)',
      'StockService.deduct (stock.service.js:41)',
    ],
    [
      'Error: a\n    at async StockService.deduct (/app/stock.service.ts:41:11)',
      'StockService.deduct (stock.service.ts:41)',
    ],
    ['Error: a\n    at /app/stock.ts:7:1', 'stock.ts:7'],
    ['Error: a\n    at file:///app/stock.mjs:7:1', 'stock.mjs:7'],
    ['Error: a\n    at new Stock (C:\\app\\stock.js:7:1)', 'new Stock (stock.js:7)'],
    [
      'Error: a\nof two lines at x\n    at Query.run (/app/node_modules/pg/query.js:1:2)\n    at node:internal/process/task_queues:95:5\n' +
        '    at async Promise.all (index 0)\n    at new Promise (<anonymous>)\n    at deduct (/app/stock.ts:3:4)',
      'deduct (stock.ts:3)',
    ],
    ['Error: a\n    at Query.run (/app/node_modules/pg/query.js:1:2)', undefined],
    ['Error: a', undefined],
    [7, undefined],
  ])('of the stack %j is %j', (stack, place) => {
    expect(thrownAt(withStack(stack))).toBe(place);
  });

  it('is that of a cause where the error itself has none', () => {
    const cause = withStack('Error: b\n    at deduct (/app/stock.ts:3:4)');
    expect(thrownAt(withStack('Error: a\n    at x (/app/node_modules/y.js:1:2)', cause))).toBe('deduct (stock.ts:3)');
    expect(thrownAt(withStack(undefined, withStack(undefined)))).toBeUndefined();
  });

  it('is not in this package, and nowhere of what is no error or throws when it is looked at', () => {
    // This spec is a file of this package.
    expect(thrownAt(new Error('here'))).toBeUndefined();
    const wicked = Object.defineProperty(new Error('a'), 'stack', {
      get: () => {
        throw new Error('no');
      },
    });
    for (const thrown of ['text', null, undefined, 7, {}, wicked]) expect(thrownAt(thrown)).toBeUndefined();
  });

  it('is bounded, and without its line the same in the next release', () => {
    const long = thrownAt(withStack(`Error\n    at ${'deduct'.repeat(100)} (/app/stock.ts:3:4)`));
    expect(long).toHaveLength(PLACE_MAX_LENGTH);
    expect(withoutLine('deduct (stock.ts:3)')).toBe('deduct (stock.ts)');
    expect(withoutLine('stock.ts:3')).toBe('stock.ts');
  });
});
