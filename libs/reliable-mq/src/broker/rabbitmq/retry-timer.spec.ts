import { RetryTimer } from './retry-timer';

describe('RetryTimer', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** Fails at once after each run. @returns when the runs were, in milliseconds */
  function failAgainAndAgain(timer: RetryTimer, forMs: number): number[] {
    const start = performance.now();
    const runs: number[] = [];
    const run = (): void => {
      runs.push(performance.now() - start);
      timer.schedule(run);
    };
    timer.schedule(run);
    jest.advanceTimersByTime(forMs);
    timer.stop();
    return runs;
  }

  it('runs soon at first, then slower, and never stops trying', () => {
    const runs = failAgainAndAgain(new RetryTimer(), 60_000);
    expect(runs[0]).toBeLessThanOrEqual(50);
    const gaps = runs.slice(1).map((at, index) => at - (runs[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_000);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(4_000);
    expect(runs.length).toBeGreaterThan(15);
    expect(runs.length).toBeLessThan(30);
  });

  it('begins anew after a quiet while', () => {
    const timer = new RetryTimer();
    failAgainAndAgain(timer, 30_000);
    jest.advanceTimersByTime(20_000);
    expect(failAgainAndAgain(timer, 60)).toHaveLength(1);
  });

  it('runs once however often it is scheduled, and not after it was stopped', () => {
    const timer = new RetryTimer();
    const run = jest.fn();
    timer.schedule(run);
    timer.schedule(run);
    jest.advanceTimersByTime(1_000);
    expect(run).toHaveBeenCalledTimes(1);

    timer.schedule(run);
    timer.stop();
    jest.advanceTimersByTime(10_000);
    expect(run).toHaveBeenCalledTimes(1);
  });
});
