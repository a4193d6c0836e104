import { Inject, Injectable, Optional } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { CronJob } from 'cron';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';

/** Names in the application's SchedulerRegistry. */
const COMPENSATION = 'reliable-mq:compensation';
const PRUNE = 'reliable-mq:prune';
/** All instances' clocks reach a cron job's moment together; each waits for a random part of this, in milliseconds. */
const SPREAD_MS = 1000;

/** When the compensation task runs: as a cron job or at an interval, both listed by the application's SchedulerRegistry. */
@Injectable()
export class CompensationSchedule {
  private spread: NodeJS.Timeout | undefined;

  constructor(
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'compensation' | 'retention'>,
    // The application's own, when it imports ScheduleModule; importing it here would register the application's jobs twice.
    @Optional() @Inject(SchedulerRegistry) private readonly registry = new SchedulerRegistry(),
  ) {}

  /**
   * @param repair whatever has not reached its end
   * @param prune what has reached it long ago
   */
  start(repair: () => void, prune: () => void): void {
    const { cron, intervalMs } = this.options.compensation;
    if (intervalMs === undefined) this.addCronJob(cron, repair);
    // Intervals begin with their processes, which start at moments of their own: nothing to spread.
    else this.registry.addInterval(COMPENSATION, setInterval(repair, intervalMs));
    this.registry.addInterval(PRUNE, setInterval(prune, this.options.retention.pruneIntervalMs));
  }

  /** ScheduleModule may have ended them already: it stops in the same phase. */
  stop(): void {
    clearTimeout(this.spread);
    if (this.registry.doesExist('cron', COMPENSATION)) this.registry.deleteCronJob(COMPENSATION);
    for (const name of [COMPENSATION, PRUNE]) {
      if (this.registry.doesExist('interval', name)) this.registry.deleteInterval(name);
    }
  }

  private addCronJob(cronTime: string, onTick: () => void): void {
    const job = CronJob.from({
      cronTime,
      onTick: () => {
        clearTimeout(this.spread);
        this.spread = setTimeout(onTick, Math.random() * SPREAD_MS);
      },
    });
    this.registry.addCronJob(COMPENSATION, job);
    job.start();
  }
}
