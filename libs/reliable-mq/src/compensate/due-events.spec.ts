import type { Claim, ClaimedEvent, DueRange, OutboxStore } from '../outbox/outbox.store';
import { DueEvents } from './due-events';

const BATCH = 2;

describe('DueEvents', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  /** A store that answers so many events, each time after so long, and keeps which range it was asked for. */
  function scripted(answers: readonly { readonly count: number; readonly tookMs?: number }[]): {
    readonly due: DueEvents;
    readonly ranges: (DueRange | undefined)[];
  } {
    const left = [...answers];
    const ranges: (DueRange | undefined)[] = [];
    const claim: OutboxStore['claim'] = (_status, _limit, _leaseMs, _token, range): Promise<Claim> => {
      ranges.push(range);
      const { count, tookMs = 0 } = left.shift() ?? { count: 0 };
      jest.advanceTimersByTime(tookMs);
      const events = Array.from({ length: count }, () => ({}) as ClaimedEvent);
      return Promise.resolve({ events, lastDueAt: count > 0 ? `after ${ranges.length}` : undefined });
    };
    return { due: new DueEvents({ claim } as OutboxStore, 'pending', BATCH, 30_000), ranges };
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

  it('looks at everything in each run while that is quick', async () => {
    const { due, ranges } = scripted([{ count: 1, tookMs: 50 }]);
    for (let times = 0; times < 3; times += 1) {
      await run(due);
      jest.advanceTimersByTime(10_000);
    }
    expect(ranges).toEqual([undefined, undefined, undefined]);
  });

  it('where looking at everything is slow, looks a minute further back than its last run', async () => {
    const slow = { count: 0, tookMs: 2000 };
    const { due, ranges } = scripted([slow, slow, { count: 2 }, { count: 1 }]);
    await run(due);
    await run(due);
    jest.advanceTimersByTime(10_000);
    expect(await run(due)).toBe(3);
    // The run before began 12 seconds ago.
    expect(ranges).toEqual([undefined, undefined, { dueWithinMs: 72_000 }, { dueFrom: 'after 3' }]);
    jest.advanceTimersByTime(90_000);
    await run(due);
    expect(ranges.at(-1)).toBeUndefined();
  });

  it('a run that was stopped has not seen everything', async () => {
    const slow = { count: 0, tookMs: 2000 };
    const { due, ranges } = scripted([slow, slow, { count: 2 }]);
    await run(due);
    await run(due);
    jest.advanceTimersByTime(10_000);
    let asked = 0;
    await run(due, () => (asked += 1) === 1);
    jest.advanceTimersByTime(10_000);
    await run(due);
    expect(ranges.slice(2)).toEqual([{ dueWithinMs: 72_000 }, { dueWithinMs: 82_000 }]);
  });
});
