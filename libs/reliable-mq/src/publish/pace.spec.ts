import { Pace } from './pace';

describe('Pace', () => {
  let pace: Pace;

  beforeEach(() => {
    jest.useFakeTimers();
    pace = new Pace();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('never lets a quiet service wait', () => {
    for (let ms = 0; ms < 1000; ms += 2) {
      expect(pace.waitMs(1)).toBe(0);
      pace.left(1);
      jest.advanceTimersByTime(2);
    }
  });

  it('keeps the bursts of a busy service apart', () => {
    pace.left(15);
    jest.advanceTimersByTime(3);
    expect(pace.waitMs(1)).toBe(7);
    jest.advanceTimersByTime(7);
    expect(pace.waitMs(1)).toBe(0);
  });

  it('lets enough for a burst of their own go at once', () => {
    pace.left(90);
    expect(pace.waitMs(99)).toBe(10);
    expect(pace.waitMs(100)).toBe(0);
  });

  it('remembers no more than the last moment, also of a backlog that never waits', () => {
    for (let ms = 0; ms < 10_000; ms += 1) {
      pace.left(1000);
      jest.advanceTimersByTime(1);
    }
    expect((pace as unknown as { readonly recent: readonly unknown[] }).recent.length).toBeLessThanOrEqual(10);
  });
});
