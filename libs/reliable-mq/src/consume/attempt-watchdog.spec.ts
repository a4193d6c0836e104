import { AttemptWatchdog } from './attempt-watchdog';

describe('AttemptWatchdog', () => {
  beforeEach(() => jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate'] }));
  afterEach(() => jest.useRealTimers());

  const tooLong = (phase: string) => () => new Error(`${phase} took too long`);

  async function expiry(watchdog: AttemptWatchdog): Promise<string | undefined> {
    return Promise.race([
      watchdog.limit(new Promise<never>(() => undefined)).catch((error: unknown) => (error as Error).message),
      new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined))),
    ]);
  }

  it('gives each phase its own time', async () => {
    const watchdog = new AttemptWatchdog(new AbortController().signal);
    watchdog.enter(100, tooLong('the first'));
    jest.advanceTimersByTime(99);
    watchdog.enter(100, tooLong('the second'));
    jest.advanceTimersByTime(99);
    await expect(expiry(watchdog)).resolves.toBeUndefined();
    jest.advanceTimersByTime(1);
    await expect(expiry(watchdog)).resolves.toBe('the second took too long');
  });

  it('knows its own reason from one that the work has failed with', async () => {
    const watchdog = new AttemptWatchdog(new AbortController().signal);
    const reason = new Error('too long');
    watchdog.enter(100, () => reason);
    expect(watchdog.hasExpiredBy(reason)).toBe(false);
    expect(watchdog.hasExpiredBy(undefined)).toBe(false);
    jest.advanceTimersByTime(100);
    expect(watchdog.hasExpiredBy(new Error('too long'))).toBe(false);
    await expect(watchdog.limit(new Promise(() => undefined))).rejects.toBe(reason);
    expect(watchdog.hasExpiredBy(reason)).toBe(true);
  });

  it('lets no phase begin after it has expired', () => {
    const watchdog = new AttemptWatchdog(new AbortController().signal);
    watchdog.enter(100, tooLong('the first'));
    jest.advanceTimersByTime(100);
    expect(() => watchdog.throwIfExpired()).toThrow('the first took too long');
    expect(() => watchdog.enter(100, tooLong('the second'))).toThrow('the first took too long');
  });

  it('expires when the process stops, at once if it is stopping already', async () => {
    const stop = new AbortController();
    const running = new AttemptWatchdog(stop.signal);
    running.enter(100, tooLong('it'));
    stop.abort();
    await expect(expiry(running)).resolves.toBe('the process is stopping');
    const late = new AttemptWatchdog(stop.signal);
    expect(() => late.enter(100, tooLong('it'))).toThrow('the process is stopping');
    running.dispose();
    late.dispose();
  });

  it('lets the last phase have its time although the process stops', async () => {
    const stop = new AbortController();
    const watchdog = new AttemptWatchdog(stop.signal);
    watchdog.enterLast(100, tooLong('the commit'));
    stop.abort();
    await expect(expiry(watchdog)).resolves.toBeUndefined();
    jest.advanceTimersByTime(100);
    await expect(expiry(watchdog)).resolves.toBe('the commit took too long');
  });

  it('leaves no timer behind', () => {
    const watchdog = new AttemptWatchdog(new AbortController().signal);
    watchdog.enter(100, tooLong('it'));
    watchdog.dispose();
    expect(jest.getTimerCount()).toBe(0);
  });
});
