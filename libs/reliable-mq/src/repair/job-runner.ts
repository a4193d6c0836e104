import { describeError } from '../event/errors';
import type { HookRunner } from '../event/hook-runner';
import type { StoreSet } from '../database/stores';
import type { Job, JobRun, ReportBatch } from './job';
import { createLog } from '../log/log';
import { Outage } from '../log/outage';

const STOPPING = 'the application is stopping';
const NOT_READY = 'it could do nothing now: the broker is away, or nothing here needs the job';
const PROGRESS_EVERY_MS = 10_000;
/** Moments closer than this are one, in milliseconds: bounds how many are remembered, and how often the job is woken. */
const WAKE_GRAIN_MS = 50;
/** Longest delay that a timer of Node takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Runs one job for one DataSource without overlap: asked again while it runs, it runs once more afterwards. */
export class JobRunner {
  private readonly logger = createLog();
  private readonly outage = new Outage(this.logger, {
    begins: 'A job of the compensation task failed; each next run tries again',
    ends: 'A job of the compensation task works again',
  });
  private running: Promise<void> | undefined;
  private again = false;
  /** Who waits for the end of the next run. */
  private callers: ((run: JobRun) => void)[] = [];
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;
  /** Moments at which the job has work, on the clock of `performance.now()`. */
  private readonly wakeAt = new Set<number>();

  constructor(
    readonly job: Job,
    private readonly set: StoreSet,
    private readonly hooks: HookRunner,
    private readonly stop: AbortSignal,
  ) {}

  get isReady(): boolean {
    return this.job.ready(this.set);
  }

  /** Run the job now, or once more when the present run ends. Resolves when that run has ended. */
  run(): Promise<JobRun> {
    if (this.stop.aborted) return Promise.resolve(this.skipped(STOPPING));
    if (!this.isReady) return Promise.resolve(this.skipped(NOT_READY));
    return new Promise((resolve) => {
      this.callers.push(resolve);
      this.poke();
    });
  }

  skipped(why: string): JobRun {
    return { job: this.job.name, dataSource: this.set.name, count: 0, durationMs: 0, skipped: why };
  }

  /** Run the job now, or once more when the present run ends. */
  poke(): void {
    if (this.stop.aborted) return;
    if (this.running) this.again = true;
    else if (this.isReady) this.running = this.loop();
  }

  /** Run the job after so many milliseconds, whatever else it is asked. */
  pokeIn(delayMs: number): void {
    if (this.stop.aborted) return;
    const moment = Math.ceil((performance.now() + delayMs) / WAKE_GRAIN_MS + 1) * WAKE_GRAIN_MS;
    this.wakeAt.add(moment);
    this.setTimer(moment);
  }

  /** Resolves when the job does not run. */
  async idle(): Promise<void> {
    await this.running;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.wakeAt.clear();
  }

  private setTimer(next: number): void {
    if (next >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = next;
    this.timer = setTimeout(() => this.wake(), Math.min(next - performance.now(), MAX_TIMER_MS));
    this.timer.unref();
  }

  private wake(): void {
    const now = performance.now();
    this.timerAt = Number.POSITIVE_INFINITY;
    let due = false;
    let next = Number.POSITIVE_INFINITY;
    for (const moment of this.wakeAt) {
      if (moment <= now) due = this.wakeAt.delete(moment);
      else next = Math.min(next, moment);
    }
    if (due) this.poke();
    this.setTimer(next);
  }

  private async loop(): Promise<void> {
    do {
      this.again = false;
      const callers = this.callers.splice(0);
      const run = await this.runOnce();
      for (const ended of callers) ended(run);
    } while (this.again && !this.stop.aborted && this.isReady);
    this.running = undefined;
    // Asked for while the last run ended.
    for (const ended of this.callers.splice(0)) ended(this.skipped(this.stop.aborted ? STOPPING : NOT_READY));
  }

  private async runOnce(): Promise<JobRun> {
    const { name } = this.job;
    const dataSource = this.set.name;
    const startedAt = performance.now();
    let count = 0;
    let loggedAt = startedAt;
    const report: ReportBatch = (batch, overdueMs) => {
      count += batch;
      const lag = overdueMs === undefined ? {} : { overdueMs };
      this.hooks.run('jobBatch', { job: name, dataSource, count: batch, ...lag });
      if (performance.now() - loggedAt < PROGRESS_EVERY_MS) return;
      loggedAt = performance.now();
      this.logger.log('The compensation task is working on a backlog', {
        job: name,
        dataSource,
        count,
        seconds: Math.round((loggedAt - startedAt) / 1000),
      });
    };
    this.hooks.run('jobStarted', { job: name, dataSource });
    let failure: string | undefined;
    try {
      await this.job.run(this.set, report, this.stop);
    } catch (error) {
      failure = describeError(error);
      this.outage.met({ job: name, dataSource, count, error: failure });
    }
    if (failure === undefined) this.outage.over({ job: name, dataSource });
    const durationMs = performance.now() - startedAt;
    if (count > 0 && !failure)
      this.logger.log('The compensation task did its work', {
        job: name,
        dataSource,
        count,
        durationMs: Math.round(durationMs),
      });
    const run: JobRun = { job: name, dataSource, count, durationMs, ...(failure ? { error: failure } : {}) };
    this.hooks.run('jobFinished', run);
    return run;
  }
}
