import type { Now } from '../../api';
import { linesOf, NO_HISTORY, withAnswer } from './rates';

function now(second: number, recorded: number, of: Partial<Now> = {}): Now {
  return {
    at: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
    health: { status: 'up', reasons: [] },
    sources: [],
    totals: { recorded, published: 0, consumed: 0, dead: 0, handled: 0, handlingFailed: 0, duplicate: 0 },
    ...of,
  };
}

describe('rates', () => {
  it('are made of two answers and the time between them', () => {
    const history = withAnswer(withAnswer(NO_HISTORY, now(0, 100)), now(5, 150));
    expect(history.samples.map(({ rates }) => rates?.recorded)).toEqual([undefined, 10]);
  });

  it('have a gap where another process answered, and go on after it', () => {
    const history = [now(0, 100), now(5, 3), now(10, 13)].reduce(withAnswer, NO_HISTORY);
    expect(history.samples.map(({ rates }) => rates?.recorded)).toEqual([undefined, undefined, 2]);
  });

  it('take one answer once, however often it is given', () => {
    const history = [now(0, 100), now(0, 100)].reduce(withAnswer, NO_HISTORY);
    expect(history.samples).toHaveLength(1);
  });

  it('are kept for ten minutes of answers', () => {
    const history = Array.from({ length: 200 }, (_, index) => now(5 * index, index)).reduce(withAnswer, NO_HISTORY);
    expect(history.samples).toHaveLength(120);
    expect(history.samples.at(-1)?.rates?.recorded).toBe(0.2);
  });

  it('stand beside the worst lag and all that is pending', () => {
    const outbox = { pending: 3, published: 0, dead: 0, compensating: 0, compensated: 0, needPerson: 0 };
    const sources = [
      { source: 'a', cap: 9, outbox: { ...outbox, oldestOverdueMs: 50 } },
      { source: 'b', cap: 9, outbox: { ...outbox, oldestOverdueMs: 70 } },
      { source: 'c', cap: 9, problem: 'away' },
    ];
    expect(withAnswer(NO_HISTORY, now(0, 0, { sources })).samples[0]).toMatchObject({
      pending: 6,
      outboxLagMs: 70,
      inboxLagMs: 0,
    });
  });
});

describe('the line of a chart', () => {
  it('ends at the right, is as high as its highest, and is broken by gaps', () => {
    expect(linesOf([1, undefined, 0, 2], 32)).toEqual(['75,16', '91.67,32 100,0']);
  });

  it('of nothing but zeros lies at the bottom', () => {
    expect(linesOf([0, 0], 32)).toEqual(['91.67,32 100,32']);
  });

  it('of nothing is none', () => {
    expect(linesOf([], 32)).toEqual([]);
  });
});
