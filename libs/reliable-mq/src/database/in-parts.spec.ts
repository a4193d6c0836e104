import { inParts } from './in-parts';

describe('work in parts', () => {
  const REFUSED = new Error('refused');

  async function run(items: readonly number[], bad: readonly number[], error = REFUSED) {
    const calls: (readonly number[])[] = [];
    const refused: number[] = [];
    const done = await inParts(
      items,
      (some) => {
        calls.push(some);
        return some.some((item) => bad.includes(item)) ? Promise.reject(error) : Promise.resolve(some);
      },
      (thrown) => thrown === REFUSED,
      (item) => refused.push(item),
    );
    return { done: done.flat(), refused, calls: calls.length };
  }

  it('is done at once when nothing is wrong with it', async () => {
    expect(await run([1, 2, 3], [])).toEqual({ done: [1, 2, 3], refused: [], calls: 1 });
    expect(await run([], [])).toEqual({ done: [], refused: [], calls: 0 });
  });

  it.each([[[1]], [[5]], [[9]], [[1, 9]], [[2, 3, 4]]])('leaves out %j alone', async (bad) => {
    const items = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    const { done, refused } = await run(items, bad);
    expect(refused).toEqual(bad);
    expect(done).toEqual(items.filter((item) => !bad.includes(item)));
  });

  it('is not tried in parts when nothing is known of it', async () => {
    await expect(run([1, 2], [1], new Error('connection lost'))).rejects.toThrow('connection lost');
  });
});
