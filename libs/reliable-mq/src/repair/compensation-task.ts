import { Inject, Injectable } from '@nestjs/common';
import { TRANSPORT, type Transport } from '../broker/transport';
import { Stores } from '../database/stores';
import { ReliableMqError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import type { JobName } from '../event/hooks';
import { Wakeups } from '../event/wakeups';
import { suggest } from '../input/suggest';
import { RESOLVED_OPTIONS, type ResolvedOptions } from '../options/resolved-options';
import { finishesWithin } from '../wait/deadline';
import { CompensationSchedule } from './compensation-schedule';
import { type Job, type JobRun, JOBS } from './job';
import { JobRunner } from './job-runner';

const PRUNE_JOBS: readonly JobName[] = ['prune-outbox', 'prune-inbox'];
/** How long cut-off jobs may take to roll back and give their rows back, in milliseconds. */
const CUT_OFF_MS = 5000;
/** How long a run that somebody asked for waits for a broker that is away: a process that has just started is about to connect. */
const BROKER_WAIT_MS = 10_000;

/**
 * The scheduled task: runs its jobs at start-up and whenever its schedule says, and single ones sooner when something says that they
 * have work (a retry falls due, an event has died, the broker is back). Any number of instances may run it: the claims share the rows
 * out.
 */
@Injectable()
export class CompensationTask {
  private readonly stopping = new AbortController();
  private readonly runners: readonly JobRunner[];
  private stopListening: (() => void) | undefined;
  private isStarted = false;

  constructor(
    @Inject(JOBS) jobs: readonly Job[],
    stores: Stores,
    @Inject(RESOLVED_OPTIONS) private readonly options: Pick<ResolvedOptions, 'compensation'>,
    private readonly schedule: CompensationSchedule,
    private readonly wakeups: Wakeups,
    @Inject(TRANSPORT) private readonly transport: Transport,
    hooks: HookRunner,
  ) {
    this.runners = stores.all.flatMap((set) => jobs.map((job) => new JobRunner(job, set, hooks, this.stopping.signal)));
  }

  /**
   * Run all jobs, or those of one name, now: for a `@Cron` of the application's own, or a process that a scheduler starts for one run.
   * Other instances may do the same at the same moment. A job that runs already runs once more, for what has become due meanwhile.
   * Waits up to 10 seconds for a broker that is away.
   * @returns what each job has done, for each DataSource, once all have ended. It never rejects for what a job fails at. Handlers
   *   whose retries a run began, and messages that it handed to the broker, may still be on their way: closing the application waits
   *   for them.
   * @throws ReliableMqError of code `INVALID_OPTIONS` when this application has no job of that name
   */
  async run(name?: JobName): Promise<readonly JobRun[]> {
    const runners = name === undefined ? this.runners : this.named(name);
    if (name !== undefined && runners.length === 0) throw this.noSuchJob(name);
    if (!this.isStarted) return runners.map((runner) => runner.skipped('the application has not started'));
    if (runners.some((runner) => !runner.isReady)) await this.brokerIsThere();
    return Promise.all(runners.map((runner) => runner.run()));
  }

  /** To be called when the application has started. Nothing is scheduled with `compensation.enabled: false`. */
  start(): void {
    this.isStarted = true;
    if (this.stopListening || !this.options.compensation.enabled) return;
    this.stopListening = this.wakeups.onWake((name, delayMs) => this.wake(name, delayMs));
    const [prune, repair] = [true, false].map((isPrune) =>
      this.runners.filter(({ job }) => PRUNE_JOBS.includes(job.name) === isPrune),
    ) as [JobRunner[], JobRunner[]];
    this.schedule.start(
      () => repair.forEach((runner) => runner.poke()),
      () => prune.forEach((runner) => runner.poke()),
    );
    for (const runner of this.runners) runner.poke();
  }

  /** Begin nothing more, and let what runs finish within `drainMs`; then it is cut off. */
  async stop(drainMs: number): Promise<void> {
    this.stopping.abort();
    this.stopListening?.();
    this.schedule.stop();
    for (const runner of this.runners) runner.dispose();
    const idle = Promise.all(this.runners.map((runner) => runner.idle()));
    if (await finishesWithin(drainMs, idle)) return;
    for (const { job } of this.runners) job.cutOff?.();
    await finishesWithin(CUT_OFF_MS, idle);
  }

  private wake(name: JobName, delayMs: number): void {
    for (const runner of this.named(name)) {
      if (delayMs === 0) runner.poke();
      else runner.pokeIn(delayMs);
    }
  }

  private named(name: JobName): readonly JobRunner[] {
    return this.runners.filter(({ job }) => job.name === name);
  }

  /** Resolves when the broker is available, the application stops, or the wait is over. */
  private async brokerIsThere(): Promise<void> {
    if (this.transport.status().available) return;
    const { signal } = this.stopping;
    let end: () => void = () => undefined;
    const isThere = new Promise<void>((resolve) => (end = resolve));
    const stopListening = this.transport.onStatus(({ available }) => available && end());
    signal.addEventListener('abort', end, { once: true });
    await finishesWithin(BROKER_WAIT_MS, isThere);
    signal.removeEventListener('abort', end);
    stopListening();
  }

  private noSuchJob(name: string): ReliableMqError {
    const names = [...new Set(this.runners.map(({ job }) => job.name))];
    const meant = suggest(name, names);
    return new ReliableMqError(
      'INVALID_OPTIONS',
      `CompensationTask.run: this application has no job "${name}"` +
        (meant ? `; did you mean "${meant}"?` : `. Its jobs are ${names.join(', ')}.`),
      { job: name, jobs: names },
    );
  }
}
