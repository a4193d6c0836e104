import type { SchedulerRegistry } from '@nestjs/schedule';
import { finishesWithin } from '../wait/deadline';
import type { JobName } from '../event/hooks';
import type { HookRunner } from '../event/hook-runner';
import type { ResolvedOptions } from '../options/resolved-options';
import type { Job } from './job';
import { JobRunner } from './job-runner';

const INTERVAL = 'reliable-mq:compensation';
const PRUNE_INTERVAL = 'reliable-mq:prune';
/** How long cut-off jobs may take to roll back and give their rows back, in milliseconds. */
const CUT_OFF_MS = 5000;
const PRUNE_JOBS: readonly JobName[] = ['prune-outbox', 'prune-inbox'];

/**
 * The scheduled task: runs its jobs at start-up and at every interval, and single ones sooner when something says that they have
 * work (a retry falls due, an event has died, the broker is back). Any number of instances may run it: the claims share the
 * rows out.
 */
export class CompensationTask {
  private readonly stopping = new AbortController();
  private readonly runners: readonly JobRunner[];
  private started = false;

  constructor(
    jobs: readonly Job[],
    private readonly options: Pick<ResolvedOptions, 'compensation' | 'retention'>,
    private readonly scheduler: SchedulerRegistry,
    hooks: HookRunner,
  ) {
    this.runners = jobs.map((job) => new JobRunner(job, hooks, this.stopping.signal));
  }

  start(): void {
    if (this.started || !this.options.compensation.enabled) return;
    this.started = true;
    const { intervalMs } = this.options.compensation;
    const { pruneIntervalMs } = this.options.retention;
    this.schedule(INTERVAL, intervalMs, (name) => !PRUNE_JOBS.includes(name));
    this.schedule(PRUNE_INTERVAL, pruneIntervalMs, (name) => PRUNE_JOBS.includes(name));
    for (const runner of this.runners) runner.poke();
  }

  /** Run the jobs of one name now. */
  poke(name: JobName): void {
    if (!this.started) return;
    for (const runner of this.named(name)) runner.poke();
  }

  /** Run the jobs of one name after so many milliseconds. */
  pokeIn(name: JobName, delayMs: number): void {
    if (!this.started) return;
    for (const runner of this.named(name)) runner.pokeIn(delayMs);
  }

  /** Begin nothing more, and let what runs finish within `drainMs`; then it is cut off. */
  async stop(drainMs: number): Promise<void> {
    this.stopping.abort();
    for (const interval of [INTERVAL, PRUNE_INTERVAL]) {
      if (this.started && this.scheduler.doesExist('interval', interval)) this.scheduler.deleteInterval(interval);
    }
    for (const runner of this.runners) runner.dispose();
    const idle = Promise.all(this.runners.map((runner) => runner.idle()));
    if (await finishesWithin(drainMs, idle)) return;
    for (const { job } of this.runners) job.cutOff?.();
    await finishesWithin(CUT_OFF_MS, idle);
  }

  private schedule(interval: string, everyMs: number, mine: (name: JobName) => boolean): void {
    const runners = this.runners.filter(({ job }) => mine(job.name));
    this.scheduler.addInterval(
      interval,
      setInterval(() => runners.forEach((runner) => runner.poke()), everyMs),
    );
  }

  private named(name: JobName): readonly JobRunner[] {
    return this.runners.filter(({ job }) => job.name === name);
  }
}
