import { Inject, Injectable, Optional } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { finishesWithin } from '../wait/deadline';
import { Stores } from '../database/stores';
import type { JobName } from '../event/hooks';
import { HookRunner } from '../event/hook-runner';
import { Wakeups } from '../event/wakeups';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { type Job, JOBS } from './job';
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
@Injectable()
export class CompensationTask {
  private readonly stopping = new AbortController();
  private readonly runners: readonly JobRunner[];
  private stopListening: (() => void) | undefined;

  constructor(
    @Inject(JOBS) jobs: readonly Job[],
    stores: Stores,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'compensation' | 'retention'>,
    private readonly wakeups: Wakeups,
    hooks: HookRunner,
    // The application's own, when it imports ScheduleModule; importing it here would register the application's jobs twice.
    @Optional() @Inject(SchedulerRegistry) private readonly scheduler = new SchedulerRegistry(),
  ) {
    this.runners = stores.all.flatMap((set) => jobs.map((job) => new JobRunner(job, set, hooks, this.stopping.signal)));
  }

  start(): void {
    if (this.stopListening || !this.options.compensation.enabled) return;
    this.stopListening = this.wakeups.onWake((job, delayMs) => this.wake(job, delayMs));
    const { intervalMs } = this.options.compensation;
    const { pruneIntervalMs } = this.options.retention;
    this.schedule(INTERVAL, intervalMs, (name) => !PRUNE_JOBS.includes(name));
    this.schedule(PRUNE_INTERVAL, pruneIntervalMs, (name) => PRUNE_JOBS.includes(name));
    for (const runner of this.runners) runner.poke();
  }

  /** Begin nothing more, and let what runs finish within `drainMs`; then it is cut off. */
  async stop(drainMs: number): Promise<void> {
    this.stopping.abort();
    this.stopListening?.();
    for (const interval of [INTERVAL, PRUNE_INTERVAL]) {
      if (this.stopListening && this.scheduler.doesExist('interval', interval)) this.scheduler.deleteInterval(interval);
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

  private wake(name: JobName, delayMs: number): void {
    for (const runner of this.runners.filter(({ job }) => job.name === name)) {
      if (delayMs === 0) runner.poke();
      else runner.pokeIn(delayMs);
    }
  }
}
