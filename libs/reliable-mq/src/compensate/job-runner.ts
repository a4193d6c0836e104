import { Logger } from '@nestjs/common';
import { describeError } from '../domain/errors';
import type { HookRunner } from '../domain/hook-runner';
import type { Job } from './job';

const PROGRESS_EVERY_MS = 10_000;

/** Runs one job without overlap: asked again while it runs, it runs once more afterwards. */
export class JobRunner {
  private readonly logger = new Logger('ReliableMq');
  private running: Promise<void> | undefined;
  private again = false;
  private timer: NodeJS.Timeout | undefined;
  private timerAt = Number.POSITIVE_INFINITY;

  constructor(
    readonly job: Job,
    private readonly hooks: HookRunner,
    private readonly stop: AbortSignal,
  ) {}

  /** Run the job now, or once more when the present run ends. */
  poke(): void {
    if (this.stop.aborted) return;
    if (this.running) this.again = true;
    else this.running = this.loop();
  }

  /** Run the job after so many milliseconds, unless it is to run sooner anyway. */
  pokeIn(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (this.stop.aborted || at >= this.timerAt) return;
    clearTimeout(this.timer);
    this.timerAt = at;
    this.timer = setTimeout(() => {
      this.timerAt = Number.POSITIVE_INFINITY;
      this.poke();
    }, delayMs);
    this.timer.unref();
  }

  /** Resolves when the job does not run. */
  async idle(): Promise<void> {
    await this.running;
  }

  dispose(): void {
    clearTimeout(this.timer);
  }

  private async loop(): Promise<void> {
    do {
      this.again = false;
      if (this.job.ready()) await this.runOnce();
    } while (this.again && !this.stop.aborted);
    this.running = undefined;
  }

  private async runOnce(): Promise<void> {
    const { name, dataSource } = this.job;
    const startedAt = performance.now();
    let count = 0;
    let loggedAt = startedAt;
    const progress = (batch: number): void => {
      count += batch;
      this.hooks.run('jobBatch', { job: name, dataSource, count: batch });
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
      await this.job.run(progress, this.stop);
    } catch (error) {
      failure = describeError(error);
      this.logger.error('A job of the compensation task failed; the next run tries again', {
        job: name,
        dataSource,
        count,
        error: failure,
      });
    }
    const durationMs = performance.now() - startedAt;
    if (count > 0 && !failure)
      this.logger.log('The compensation task did its work', {
        job: name,
        dataSource,
        count,
        durationMs: Math.round(durationMs),
      });
    this.hooks.run('jobFinished', { job: name, dataSource, count, durationMs, ...(failure ? { error: failure } : {}) });
  }
}
