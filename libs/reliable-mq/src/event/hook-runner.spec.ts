import { HookRunner } from './hook-runner';

describe('HookRunner', () => {
  /** What it logs of those that throw. */
  let logged: jest.SpyInstance;
  beforeEach(() => {
    logged = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  });
  afterEach(() => logged.mockRestore());

  it('calls everyone who listens, in the order in which they came', () => {
    const calls: string[] = [];
    const runner = new HookRunner([
      { consumed: ({ eventId }) => void calls.push(`first ${eventId}`) },
      {},
      { consumed: ({ eventId }) => void calls.push(`second ${eventId}`) },
    ]);
    runner.add({ consumed: ({ eventId }) => void calls.push(`third ${eventId}`) });
    runner.run('consumed', { eventId: 'a' });
    runner.run('settling', { count: 1 });
    expect(calls).toEqual(['first a', 'second a', 'third a']);
  });

  it('lets no one be harmed by another one that throws, at once or later', async () => {
    const calls: string[] = [];
    const runner = new HookRunner([
      {
        consumed: () => {
          throw new Error('mine');
        },
      },
      { consumed: (async () => Promise.reject(new Error('later'))) as () => void },
      { consumed: () => void calls.push('told') },
    ]);
    runner.run('consumed', { eventId: 'a' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual(['told']);
    for (const error of ['mine', 'later']) expect(logged).toHaveBeenCalledWith(expect.stringContaining(error));
  });

  it('forgets who goes, also one who goes while it is called, and one of two who are the same', () => {
    const calls: string[] = [];
    const runner = new HookRunner([]);
    const subscriber = { consumed: () => void calls.push('twice') };
    const removeFirst = runner.add(subscriber);
    const removeSecond = runner.add(subscriber);
    const removeOnce = runner.add({
      consumed: () => {
        calls.push('once');
        removeOnce();
      },
    });
    runner.run('consumed', { eventId: 'a' });
    removeFirst();
    removeFirst();
    runner.run('consumed', { eventId: 'b' });
    removeSecond();
    runner.run('consumed', { eventId: 'c' });
    expect(calls).toEqual(['twice', 'twice', 'once', 'twice']);
  });
});
