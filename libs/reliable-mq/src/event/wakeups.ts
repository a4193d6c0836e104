import type { JobName } from './hooks';

/** Called when a job has work, or will have it after so many milliseconds. */
export type WakeupListener = (job: JobName, delayMs: number) => void;

/**
 * Tells the compensation task that a job has work before its next run: a retry falls due, an event has died, the broker is back.
 * Whoever knows of the work says so here, and knows no job; without a listener nothing is lost, because the row's `due_at` says it too.
 */
export class Wakeups {
  private readonly listeners = new Set<WakeupListener>();

  /** @param delayMs from now, in milliseconds */
  wake(job: JobName, delayMs = 0): void {
    for (const listener of this.listeners) listener(job, delayMs);
  }

  /** @returns removes the listener */
  onWake(listener: WakeupListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
