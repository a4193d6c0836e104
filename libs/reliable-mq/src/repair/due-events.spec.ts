import type { Claim, ClaimedEvent, DueRange, OutboxStore } from '../outbox/outbox.store';
import { DueEvents } from './due-events';

const BATCH = 2;
const LIMIT = { rows: BATCH, bytes: 1024 };

interface Answer {
  readonly count: number;
  readonly isFull?: boolean;
  readonly tookMs?: number;
}

describe('DueEvents', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** A store that answers so many events, each time after so long, and keeps which range it was asked for. */
  function scripted(answers: readonly Answer[]): {
    readonly due: DueEvents;
    readonly ranges: (DueRange | undefined)[];
  } {
    const left = [...answers];
    const ranges: (DueRange | undefined)[] = [];
    const claim: OutboxStore['claim'] = (_status, _limit, _leaseMs, _token, range): Promise<Claim> => {
      ranges.push(range);
      const { count, isFull = count === BATCH, tookMs = 0 } = left.shift() ?? { count: 0 };
      jest.advanceTimersByTime(tookMs);
      const events = Array.from({ length: count }, () => ({}) as ClaimedEvent);
      return Promise.resolve({ events, lastDueAt: count > 0 ? `after ${ranges.length}` : undefined, isFull });
    };
    return { due: new DueEvents({ claim } as OutboxStore, 'pending', LIMIT, 30_000), ranges };
  }

  async function run(due: DueEvents, goOn = (): boolean => true): Promise<number> {
    let count = 0;
    for await (const { events } of due.claim(goOn)) count += events.length;
    return count;
  }

  it('claims until a batch is not full, each from where the last one ended', async () => {
    const { due, ranges } = scripted([{ count: 2 }, { count: 2 }, { count: 1 }]);
    expect(await run(due)).toBe(5);
    expect(ranges).toEqual([undefined, { dueFrom: 'after 1' }, { dueFrom: 'after 2' }]);
  });

  it('goes on where a claim ended that was full with fewer events than its rows, for they are large', async () => {
    const { due, ranges } = scripted([{ count: 1, isFull: true }, { count: 1, isFull: true }, { count: 1 }]);
    expect(await run(due)).toBe(3);
    expect(ranges).toEqual([undefined, { dueFrom: 'after 1' }, { dueFrom: 'after 2' }]);
  });

  it('looks at everything in each run while that is quick', async () => {
    const quick = { count: 1, tookMs: 50 };
    const { due, ranges } = scripted([quick, quick, quick]);
    for (let times = 0; times < 3; times += 1) {
      await run(due);
      jest.advanceTimersByTime(10_000);
    }
    expect(ranges).toEqual([undefined, undefined, undefined]);
  });

  it('where looking at everything is slow, looks two minutes further back than its last run', async () => {
    const slow = { count: 0, tookMs: 2000 };
    const { due, ranges } = scripted([slow, slow, { count: 2 }, { count: 1 }]);
    await run(due);
    await run(due);
    jest.advanceTimersByTime(10_000);
    expect(await run(due)).toBe(3);
    // The run before began 12 seconds ago.
    expect(ranges).toEqual([undefined, undefined, { dueWithinMs: 132_000 }, { dueFrom: 'after 3' }]);
    jest.advanceTimersByTime(90_000);
    await run(due);
    expect(ranges.at(-1)).toBeUndefined();
  });

  it('a run that was stopped has not seen everything, be it in a range or from the start', async () => {
    const slow = { count: 0, tookMs: 2000 };
    const { due, ranges } = scripted([
      slow,
      slow,
      { count: 2 },
      { count: 0 },
      { count: 2, tookMs: 2000 },
      { count: 0 },
    ]);
    const once = (): (() => boolean) => {
      let asked = 0;
      return () => (asked += 1) === 1;
    };
    await run(due);
    await run(due);
    jest.advanceTimersByTime(10_000);
    await run(due, once());
    jest.advanceTimersByTime(10_000);
    await run(due);
    expect(ranges.slice(2)).toEqual([{ dueWithinMs: 132_000 }, { dueWithinMs: 142_000 }]);
    jest.advanceTimersByTime(90_000);
    await run(due, once());
    await run(due);
    expect(ranges.slice(4)).toEqual([undefined, undefined]);
  });

  it('looks at what is due lately when looking at everything fails twice', async () => {
    const ranges: (DueRange | undefined)[] = [];
    const claim: OutboxStore['claim'] = (_status, _limit, _leaseMs, _token, range) => {
      ranges.push(range);
      if (range) return Promise.resolve({ events: [], lastDueAt: undefined, isFull: false });
      jest.advanceTimersByTime(30_000);
      return Promise.reject(new Error('the database did not answer'));
    };
    const due = new DueEvents({ claim } as OutboxStore, 'pending', LIMIT, 30_000);
    for (let times = 0; times < 2; times += 1) await expect(run(due)).rejects.toThrow('did not answer');
    await run(due);
    expect(ranges).toEqual([undefined, undefined, { dueWithinMs: 180_000 }]);
  });
});
