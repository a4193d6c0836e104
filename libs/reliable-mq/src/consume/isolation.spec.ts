import { deferred } from '../../../../test/support/deferred';
import { Isolation } from './isolation';

/** Lets everything run that can run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function beside<T>(isolation: Isolation, work: () => Promise<T>): Promise<T> {
  await isolation.enter();
  try {
    return await work();
  } finally {
    isolation.leave();
  }
}

describe('Isolation', () => {
  const running: string[] = [];
  const work = (name: string, until: Promise<void>) => async (): Promise<string> => {
    running.push(name);
    await until;
    running.splice(running.indexOf(name), 1);
    return name;
  };

  beforeEach(() => running.splice(0));

  it('lets attempts run beside each other', async () => {
    const isolation = new Isolation(60_000);
    const gate = deferred();
    const all = ['a', 'b', 'c'].map((name) => beside(isolation, work(name, gate.promise)));
    await turn();
    expect(running).toEqual(['a', 'b', 'c']);
    gate.resolve();
    await expect(Promise.all(all)).resolves.toEqual(['a', 'b', 'c']);
  });

  it('begins one alone when the others have ended, and lets nothing begin beside it', async () => {
    const isolation = new Isolation(60_000);
    const [first, suspect, later] = [deferred(), deferred(), deferred()];
    const before = beside(isolation, work('first', first.promise));
    const alone = isolation.alone(work('suspect', suspect.promise));
    const after = beside(isolation, work('later', later.promise));
    await turn();
    expect(running).toEqual(['first']);
    first.resolve();
    await before;
    await turn();
    expect(running).toEqual(['suspect']);
    suspect.resolve();
    await alone;
    await turn();
    expect(running).toEqual(['later']);
    later.resolve();
    await after;
  });

  it('lets only one at a time be alone', async () => {
    const isolation = new Isolation(60_000);
    const [one, two] = [deferred(), deferred()];
    const all = [isolation.alone(work('one', one.promise)), isolation.alone(work('two', two.promise))];
    await turn();
    expect(running).toEqual(['one']);
    one.resolve();
    await turn();
    await turn();
    expect(running).toEqual(['two']);
    two.resolve();
    await Promise.all(all);
  });

  it('goes on for the others when the one alone has failed', async () => {
    const isolation = new Isolation(60_000);
    await expect(isolation.alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(beside(isolation, () => Promise.resolve('yes'))).resolves.toBe('yes');
    await expect(beside(isolation, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(isolation.alone(() => Promise.resolve('yes'))).resolves.toBe('yes');
  });

  it('keeps nobody waiting for longer than the given time, neither before nor behind', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'] });
    try {
      const isolation = new Isolation(1_000);
      const never = new Promise<void>(() => undefined);
      void beside(isolation, work('slow', never));
      void isolation.alone(work('suspect', never));
      void beside(isolation, work('later', never));
      await jest.advanceTimersByTimeAsync(999);
      expect(running).toEqual(['slow']);
      await jest.advanceTimersByTimeAsync(1);
      expect(running).toEqual(['slow', 'suspect']);
      await jest.advanceTimersByTimeAsync(999);
      expect(running).toEqual(['slow', 'suspect']);
      await jest.advanceTimersByTimeAsync(1);
      expect(running).toEqual(['slow', 'suspect', 'later']);
    } finally {
      jest.useRealTimers();
    }
  });
});
