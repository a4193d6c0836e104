import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { describeError } from '../event/errors';
import { newEventId } from '../event/event-id';
import type { BulkResult, Pace } from '../operate/bulk';
import { finishesWithin } from '../wait/deadline';
import type { Run } from './api';
import { ConsoleError } from './console-problem';

/** Runs at once, in this process. */
const MAX_RUNNING = 3;
/** Runs that are remembered after their end. */
const MAX_KEPT = 50;
/** How long somebody who stops a run waits for its last part, in milliseconds. */
const STOP_MS = 2000;
/** The same of an application that stops. */
const SHUTDOWN_MS = 5000;

interface Running {
  run: Run;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** Operations that go on after the answer. Each part of them is in the audit, so nothing is lost of what was done when the process ends. */
@Injectable()
export class Runs implements BeforeApplicationShutdown {
  private readonly all = new Map<string, Running>();
  private isStopping = false;

  /** The latest first. */
  list(): readonly Run[] {
    return [...this.all.values()].map(({ run }) => run).reverse();
  }

  /**
   * @param work is told the run's id, and where to say how far it is
   * @throws ConsoleError TOO_MANY, UNAVAILABLE
   */
  start(
    about: Pick<Run, 'operation' | 'source' | 'by'>,
    work: (runId: string, pace: Pace) => Promise<Pick<BulkResult<unknown>, 'matched' | 'done'>>,
  ): Run {
    if (this.isStopping) throw new ConsoleError(503, 'UNAVAILABLE', 'The application stops.');
    if (this.running().length >= MAX_RUNNING) {
      throw new ConsoleError(
        429,
        'TOO_MANY',
        `${MAX_RUNNING} operations run already: wait until one has ended, or stop one.`,
      );
    }
    const runId = newEventId();
    const stop = new AbortController();
    const run: Run = { runId, ...about, startedAt: new Date().toISOString(), state: 'running', matched: 0, done: 0 };
    const update = (change: Partial<Run>): void => {
      entry.run = { ...entry.run, ...change };
    };
    const begun = Promise.resolve().then(() => work(runId, { signal: stop.signal, onProgress: update }));
    const ended = begun.then(
      ({ matched, done }) => update({ matched, done, state: stop.signal.aborted ? 'stopped' : 'done' }),
      (error: unknown) => update({ state: 'failed', problem: describeError(error) }),
    );
    const entry: Running = { run, stop, ended };
    this.all.set(runId, entry);
    this.forget();
    return run;
  }

  /** @throws ConsoleError RUN_NOT_FOUND */
  async stop(runId: string): Promise<Run> {
    const entry = this.all.get(runId);
    if (!entry) {
      throw new ConsoleError(
        404,
        'RUN_NOT_FOUND',
        'There is no such operation in this process. Another instance may run it, or it ended long ago: see the audit.',
      );
    }
    entry.stop.abort();
    await finishesWithin(STOP_MS, entry.ended);
    return entry.run;
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    const running = this.running();
    for (const { stop } of running) stop.abort();
    await finishesWithin(SHUTDOWN_MS, Promise.all(running.map(({ ended }) => ended)));
  }

  private running(): readonly Running[] {
    return [...this.all.values()].filter(({ run }) => run.state === 'running');
  }

  private forget(): void {
    for (const [runId, { run }] of this.all) {
      if (this.all.size <= MAX_KEPT) return;
      if (run.state !== 'running') this.all.delete(runId);
    }
  }
}
