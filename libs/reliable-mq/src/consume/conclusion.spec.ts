import { concludeFailure, concludeRow, failureAfter } from './conclusion';

const policy = { maxAttempts: 3, backoff: { initialMs: 100, maxMs: 150, jitter: 0 } };

describe('failureAfter', () => {
  it.each([
    ['failed', 1, { reason: 'no', next: { retryInMs: 100 } }],
    ['failed', 2, { reason: 'no', next: { retryInMs: 150 } }],
    ['failed', 3, { reason: 'given up after 3 attempts: no', next: { end: 'dead' } }],
    ['failed', 4, { reason: 'given up after 4 attempts: no', next: { end: 'dead' } }],
    ['rejected', 1, { reason: 'no', next: { end: 'rejected' } }],
    ['rejected', 3, { reason: 'no', next: { end: 'rejected' } }],
  ] as const)('%s at attempt %d', (kind, attempt, expected) => {
    expect(failureAfter(kind, 'no', attempt, policy)).toEqual(expected);
  });
});

describe('concludeFailure', () => {
  it('tells the producer when the next attempt comes', () => {
    const conclusion = { outcome: 'retrying', reason: 'no', retryAfterMs: 100 };
    expect(concludeFailure({ reason: 'no', next: { retryInMs: 100 } })).toEqual(conclusion);
  });

  it.each(['dead', 'rejected'] as const)('tells the producer that it is %s', (end) => {
    expect(concludeFailure({ reason: 'no', next: { end } })).toEqual({
      outcome: end,
      reason: 'no',
      retryAfterMs: null,
    });
  });
});

describe('concludeRow', () => {
  const row = { attempts: 2, redrives: 0, reason: 'no' };

  it.each([
    [null, { outcome: 'handled', reason: null, retryAfterMs: null }],
    [
      { ...row, status: 'handled', dueInMs: null },
      { outcome: 'handled', reason: null, retryAfterMs: null },
    ],
    [
      { ...row, status: 'failed', dueInMs: 70 },
      { outcome: 'retrying', reason: 'no', retryAfterMs: 70 },
    ],
    [
      { ...row, status: 'failed', dueInMs: -70 },
      { outcome: 'retrying', reason: 'no', retryAfterMs: 0 },
    ],
    [
      { ...row, status: 'dead', dueInMs: null },
      { outcome: 'dead', reason: 'no', retryAfterMs: null },
    ],
    [
      { ...row, status: 'rejected', dueInMs: null },
      { outcome: 'rejected', reason: 'no', retryAfterMs: null },
    ],
  ] as const)('%j', (stored, expected) => {
    expect(concludeRow(stored)).toEqual(expected);
  });
});
