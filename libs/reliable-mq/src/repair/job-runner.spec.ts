import { Logger } from '@nestjs/common';
import { HookRunner } from '../event/hook-runner';
import type { Hooks } from '../event/hooks';
import type { StoreSet } from '../database/stores';
import type { Job } from './job';
import { JobRunner } from './job-runner';

/** A job whose runs the test ends. */
class ScriptedJob implements Job {
  readonly name = 'publish';
  isReady = true;
  runs = 0;
  work: (progress: (count: number) => void) => Promise<void> = async () => undefined;

  ready(): boolean {
    return this.isReady;
  }

  run(_set: StoreSet, progress: (count: number) => void): Promise<void> {
    this.runs += 1;
    return this.work(progress);
  }
}

describe('JobRunner', () => {
  let job: ScriptedJob;
  let runner: JobRunner;
  let stopping: AbortController;
  let finished: Parameters<Hooks['jobFinished']>[0][];

  beforeEach(() => {
    Logger.overrideLogger(false);
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    job = new ScriptedJob();
    stopping = new AbortController();
    finished = [];
    const hooks = new HookRunner([{ jobFinished: (run) => void finished.push(run) }]);
    runner = new JobRunner(job, { name: 'default' } as StoreSet, hooks, stopping.signal);
  });
  afterEach(() => {
    runner.dispose();
    jest.useRealTimers();
  });

  it('runs without overlap, and once more when it was asked meanwhile, however often', async () => {
    const ends: (() => void)[] = [];
    job.work = () => new Promise((resolve) => ends.push(resolve));
    for (let times = 0; times < 5; times += 1) runner.poke();
    expect(job.runs).toBe(1);
    ends[0]?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(job.runs).toBe(2);
    ends[1]?.();
    await runner.idle();
    expect(job.runs).toBe(2);
  });

  it('tells what a run did, and goes on after one that failed', async () => {
    job.work = async (progress) => {
      progress(3);
      progress(4);
      throw new Error('the database is away');
    };
    runner.poke();
    await runner.idle();
    expect(finished).toMatchObject([{ job: 'publish', count: 7, error: 'Error: the database is away' }]);
    job.work = async () => undefined;
    runner.poke();
    await runner.idle();
    expect(finished[1]).not.toHaveProperty('error');
  });

  it('does not run a job that is not ready', async () => {
    job.isReady = false;
    runner.poke();
    await runner.idle();
    expect(job.runs).toBe(0);
  });

  it('wakes at every moment that it was told, in whatever order, and not before', async () => {
    runner.pokeIn(5000);
    runner.pokeIn(1000);
    runner.pokeIn(9000);
    const runsAt: number[] = [];
    for (let second = 1; second <= 10; second += 1) {
      await jest.advanceTimersByTimeAsync(1000);
      runsAt.push(job.runs);
    }
    // Rounded up a little: in the second after.
    expect(runsAt).toEqual([0, 1, 1, 1, 1, 2, 2, 2, 2, 3]);
  });

  it('takes moments that are closer than it can tell apart as one', async () => {
    for (let ms = 0; ms < 1000; ms += 1) runner.pokeIn(ms);
    await jest.advanceTimersByTimeAsync(2000);
    expect(job.runs).toBeLessThanOrEqual(21);
  });

  it('a moment further away than a timer of Node reaches does not wake it at once', async () => {
    runner.pokeIn(2 ** 40);
    await jest.advanceTimersByTimeAsync(60_000);
    expect(job.runs).toBe(0);
  });

  it('tells who asked for a run what it did: the next one, when one is under way', async () => {
    const ends: (() => void)[] = [];
    let count = 0;
    job.work = async (progress) => {
      progress((count += 1));
      await new Promise<void>((resolve) => ends.push(resolve));
    };
    runner.poke();
    const asked = Promise.all([runner.run(), runner.run()]);
    ends[0]?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(job.runs).toBe(2);
    ends[1]?.();
    const run = { job: 'publish', dataSource: 'default', count: 2 };
    await expect(asked).resolves.toEqual([expect.objectContaining(run), expect.objectContaining(run)]);
  });

  it('tells who asked for a run why there was none', async () => {
    job.isReady = false;
    await expect(runner.run()).resolves.toMatchObject({ count: 0, skipped: expect.stringMatching(/broker is away/) });
    job.isReady = true;
    let end: () => void = () => undefined;
    job.work = () => new Promise((resolve) => (end = resolve));
    runner.poke();
    const asked = runner.run();
    stopping.abort();
    end();
    await expect(asked).resolves.toMatchObject({ skipped: 'the application is stopping' });
    await expect(runner.run()).resolves.toMatchObject({ skipped: 'the application is stopping' });
    expect(job.runs).toBe(1);
  });

  it('begins nothing when it is stopping', async () => {
    runner.pokeIn(1000);
    stopping.abort();
    runner.poke();
    runner.pokeIn(10);
    await jest.advanceTimersByTimeAsync(5000);
    expect(job.runs).toBe(0);
  });
});
