import type { EnvironmentContext, JestEnvironmentConfig } from '@jest/environment';
import type { Circus } from '@jest/types';
import { TestEnvironment as NodeEnvironment } from 'jest-environment-node';
import { describeLeaks, openResources, type Resources } from './leaks';
import { TimerRegistry } from './timer-registry';

const CLOSE_WITHIN_MS = 2_000;

/** Node's environment, and a file that leaves a socket, a server, a child process or a timer open fails. */
export default class LeakCheckingEnvironment extends NodeEnvironment {
  private before: Resources = new Map();
  private readonly timers = new TimerRegistry();
  /** Jest 30 accepts `testTimeout` in a project and ignores it: the project says it in `testEnvironmentOptions`. */
  private readonly testTimeoutMs: number | undefined;

  constructor(config: JestEnvironmentConfig, context: EnvironmentContext) {
    super(config, context);
    const { testTimeoutMs } = config.projectConfig.testEnvironmentOptions;
    this.testTimeoutMs =
      config.globalConfig.testTimeout ?? (typeof testTimeoutMs === 'number' ? testTimeoutMs : undefined);
  }

  override async setup(): Promise<void> {
    await super.setup();
    this.timers.watch(this.global);
    this.before = openResources();
  }

  async handleTestEvent(event: Circus.AsyncEvent | Circus.SyncEvent, state: Circus.State): Promise<void> {
    if (event.name === 'setup' && this.testTimeoutMs !== undefined) state.testTimeout = this.testTimeoutMs;
    // After the last afterAll: hooks of a set-up file would run before those of the spec.
    if (event.name !== 'run_finish') return;
    const end = performance.now() + CLOSE_WITHIN_MS;
    let leaks = this.leaks();
    while (leaks.length > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      leaks = this.leaks();
    }
    if (leaks.length === 0) return;
    const error = new Error(`This file leaves open: ${leaks.join('; ')}. Close what it opened in afterAll.`);
    error.stack = error.message;
    state.unhandledErrors.push(error);
  }

  private leaks(): string[] {
    return [...describeLeaks(this.before), ...this.timers.running()];
  }
}
