import { retryHorizonMs } from './retry-horizon';

const policy = (maxAttempts: number, initialMs: number, maxMs: number) => ({
  maxAttempts,
  backoff: { initialMs, maxMs, jitter: 0.2 },
});

describe('retryHorizonMs', () => {
  const never = policy(0, 1, 1);

  it('grants each chase twelve times its delay, which doubles', () => {
    expect(retryHorizonMs(policy(3, 1, 1_000_000), 100, never)).toBe(12 * (100 + 200 + 400));
  });

  it('lets delays double up to the longest, which is never shorter than the first', () => {
    expect(retryHorizonMs(policy(3, 1, 200), 100, never)).toBe(12 * (100 + 200 + 200));
    expect(retryHorizonMs(policy(3, 1, 50), 100, never)).toBe(12 * (100 + 100 + 100));
  });

  it('counts the delays of refused messages when they are longer', () => {
    expect(retryHorizonMs(policy(2, 300, 1_000_000), 100, never)).toBe(12 * (300 + 600));
  });

  it("adds the consumer's own attempts after the last message", () => {
    expect(retryHorizonMs(policy(1, 1, 100), 100, policy(2, 10, 1_000))).toBe(12 * 100 + 10 + 20);
  });
});
