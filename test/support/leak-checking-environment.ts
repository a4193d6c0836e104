import type { Circus } from '@jest/types';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';
import { describeLeaks, openResources, type Resources } from './leaks';

const CLOSE_WITHIN_MS = 2_000;

/** Node's environment, and a file that leaves a socket, a server, a child process or a timer open fails. */
export default class LeakCheckingEnvironment extends NodeEnvironment {
  private before: Resources = new Map();

  override async setup(): Promise<void> {
    await super.setup();
    this.before = openResources(); process.stderr.write(JSON.stringify([...this.before])+"\n");
  }

  async handleTestEvent(event: Circus.AsyncEvent | Circus.SyncEvent, state: Circus.State): Promise<void> {
    // After the last afterAll: hooks of a set-up file would run before those of the spec.
    if (event.name !== 'run_finish') return;
    process.stderr.write(JSON.stringify([...openResources()])+"\n");
    const end = performance.now() + CLOSE_WITHIN_MS;
    let leaks = describeLeaks(this.before);
    while (leaks.length > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      leaks = describeLeaks(this.before);
    }
    if (leaks.length === 0) return;
    const error = new Error(`This file leaves open: ${leaks.join('; ')}. Close what it opened in afterAll.`);
    error.stack = error.message;
    state.unhandledErrors.push(error);
  }
}
