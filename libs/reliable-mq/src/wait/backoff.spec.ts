import { backoffHorizonMs, backoffMs } from './backoff';

describe('backoff', () => {
  const plain = { initialMs: 100, maxMs: 1000, jitter: 0 };

  it('doubles with each attempt and stops at its maximum', () => {
    expect([1, 2, 3, 4, 5, 6, 100, 1_000_000].map((attempt) => backoffMs(plain, attempt))).toEqual([
      100, 200, 400, 800, 1000, 1000, 1000, 1000,
    ]);
  });

  it('takes a random share away, never more than its jitter', () => {
    const jittered = { ...plain, jitter: 0.2 };
    expect(backoffMs(jittered, 3, 0)).toBe(400);
    expect(backoffMs(jittered, 3, 0.5)).toBe(360);
    expect(backoffMs(jittered, 3, 0.999_999)).toBe(320);
    const delays = Array.from({ length: 200 }, () => backoffMs(jittered, 3));
    expect(new Set(delays).size).toBeGreaterThan(1);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(320);
    expect(Math.max(...delays)).toBeLessThanOrEqual(400);
  });

  it('gives whole milliseconds', () => {
    expect(backoffMs({ initialMs: 3, maxMs: 1000, jitter: 0.5 }, 1, 0.3)).toBe(3);
  });

  it('has a horizon: the longest delays between the attempts, without jitter', () => {
    expect(backoffHorizonMs(plain, 1)).toBe(0);
    expect(backoffHorizonMs(plain, 2)).toBe(100);
    expect(backoffHorizonMs({ ...plain, jitter: 1 }, 6)).toBe(100 + 200 + 400 + 800 + 1000);
  });
});
