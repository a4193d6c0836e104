import { OneAtATime } from './one-at-a-time';

describe('OneAtATime', () => {
  const begun: string[] = [];
  const work = (name: string): { run: () => Promise<string>; end: (error?: Error) => void } => {
    let end: (error?: Error) => void = () => undefined;
    const ended = new Promise<string>((resolve, reject) => {
      end = (error) => (error ? reject(error) : resolve(name));
    });
    return { run: () => (begun.push(name), ended), end };
  };

  const run = async <T>(queue: OneAtATime, key: string, each: () => Promise<T>): Promise<T> => {
    const turn = queue.enter(key);
    if (turn) await turn;
    try {
      return await each();
    } finally {
      queue.leave(key);
    }
  };

  beforeEach(() => (begun.length = 0));

  it('begins at once when nothing with the key runs', () => {
    const queue = new OneAtATime();
    void run(queue, 'a', work('first').run);
    void run(queue, 'b', work('other').run);
    expect(begun).toEqual(['first', 'other']);
  });

  it('lets what has the same key wait, one behind the other, whether the one before succeeds or fails', async () => {
    const queue = new OneAtATime();
    const [first, second, third] = [work('first'), work('second'), work('third')];
    const results = [first, second, third].map((each) => run(queue, 'a', each.run));
    expect(begun).toEqual(['first']);
    first.end(new Error('no'));
    await expect(results[0]).rejects.toThrow('no');
    await Promise.resolve();
    expect(begun).toEqual(['first', 'second']);
    second.end();
    await expect(results[1]).resolves.toBe('second');
    third.end();
    await expect(results[2]).resolves.toBe('third');
    expect(begun).toEqual(['first', 'second', 'third']);
  });
});
