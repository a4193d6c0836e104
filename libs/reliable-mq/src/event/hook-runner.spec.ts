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

  describe('around', () => {
    const RECORDING = { type: 'order.created', version: 1, count: 1 };

    it('runs the work inside of all, the first outermost, with the headers of all', async () => {
      const calls: string[] = [];
      const runner = new HookRunner([]);
      runner.surround({
        record: (_, run) => {
          calls.push('outer');
          void run({ a: 1, b: 1 }).then((ids) => calls.push(`outer ended: ${ids.join()}`));
        },
      });
      runner.surround({ handle: () => void calls.push('of other work') });
      runner.surround({
        record: async (_, run) => {
          calls.push('inner');
          await run({ b: 2 });
        },
      });
      const ids = await runner.around('record', RECORDING, async (headers) => {
        calls.push(`work with ${JSON.stringify(headers)}`);
        return ['id'];
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(ids).toEqual(['id']);
      expect(calls).toEqual(['outer', 'inner', 'work with {"a":1,"b":2}', 'outer ended: id']);
      expect(logged).not.toHaveBeenCalled();
    });

    it('runs the work once whatever somebody does that stands around it, and says what that was', async () => {
      const runner = new HookRunner([]);
      const work = jest.fn(async () => ['id']);
      runner.surround({
        record: () => {
          throw new Error('at once');
        },
      });
      runner.surround({ record: () => undefined });
      runner.surround({
        record: async (_, run) => {
          await Promise.all([run(), run()]);
          throw new Error('later');
        },
      });
      await expect(runner.around('record', RECORDING, work)).resolves.toEqual(['id']);
      await new Promise((resolve) => setImmediate(resolve));
      expect(work).toHaveBeenCalledTimes(1);
      for (const text of ['at once', 'did not call run', 'later'])
        expect(logged).toHaveBeenCalledWith(expect.stringContaining(text));
    });

    it('gives what the work fails with to the library, and does not log it as the failure of who waits for it', async () => {
      const runner = new HookRunner([]);
      const remove = runner.surround({
        record: async (_, run) => {
          await run();
        },
      });
      const failing = (): Promise<readonly string[]> => Promise.reject(new Error('invalid'));
      await expect(runner.around('record', RECORDING, failing)).rejects.toThrow('invalid');
      await new Promise((resolve) => setImmediate(resolve));
      expect(logged).not.toHaveBeenCalled();
      remove();
      expect(runner.isSurrounded).toBe(false);
    });
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
