import type { InboxStore } from '../inbox/inbox.store';
import type { OutboxStore } from '../outbox/outbox.store';
import type { StoreSet } from '../database/stores';
import type { Job } from './job';
import { PruneInboxJob, PruneOutboxJob } from './prune.job';

const RETENTION = { outboxHours: 1, inboxHours: 1, pruneIntervalMs: 60_000, pruneBatchSize: 2 };
/** Beyond what a job takes for where to begin by itself. */
const KEYS = ['y1', 'y2', 'y3', 'y4', 'y5'];

describe.each(['outbox', 'inbox'] as const)('The job that prunes the %s', (table) => {
  let froms: (string | undefined)[];
  let job: Job;
  let set: StoreSet;
  let left: string[];
  let fails: boolean;

  beforeEach(() => {
    jest.useFakeTimers({ now: Date.UTC(2026, 0, 2, 1) });
    froms = [];
    left = [...KEYS];
    fails = false;
    const take = async (limit: number, from: string | undefined): Promise<string[]> => {
      froms.push(from);
      if (from === undefined) jest.advanceTimersByTime(3000);
      if (fails) throw new Error('the database did not answer');
      const taken = left.filter((key) => from === undefined || key > from).slice(0, limit);
      left = left.filter((key) => !taken.includes(key));
      return Promise.resolve(taken);
    };
    const outbox: Pick<OutboxStore, 'prune'> = { prune: (_hours, limit, afterId) => take(limit, afterId) };
    const inbox: Pick<InboxStore, 'prune'> = {
      prune: async (_hours, limit, endedFrom) => {
        const taken = await take(limit, endedFrom);
        return { count: taken.length, lastEndedAt: taken.at(-1) };
      },
    };
    set = { name: 'default', outbox, inbox } as unknown as StoreSet;
    job = new (table === 'outbox' ? PruneOutboxJob : PruneInboxJob)({ retention: RETENTION });
  });
  afterEach(() => jest.useRealTimers());

  async function run(): Promise<number> {
    let count = 0;
    await job.run(set, (batch) => (count += batch), new AbortController().signal);
    return count;
  }

  it('begins where it has been while scans from the start are slow, and finds later what it has passed over', async () => {
    expect(await run()).toBe(5);
    await run();
    left = ['a', 'z1'];
    froms = [];
    expect(await run()).toBe(1);
    expect(froms).toEqual(['y5']);
    jest.advanceTimersByTime(150_000);
    expect(await run()).toBe(1);
    expect(froms).toEqual(['y5', undefined]);
    left = ['z2'];
    expect(await run()).toBe(1);
    expect(froms.at(-1)).toBe('z1');
  });

  it('begins at what had ended when the process started when scans from the start fail', async () => {
    fails = true;
    for (let times = 0; times < 2; times += 1) await expect(run()).rejects.toThrow('did not answer');
    fails = false;
    await run();
    const midnight = { outbox: '019b7c01-0400-0000-0000-000000000000', inbox: '2026-01-02T00:00:00.000Z' };
    expect(froms[2]).toBe(midnight[table]);
  });
});
