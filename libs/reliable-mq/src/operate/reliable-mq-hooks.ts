import { Injectable } from '@nestjs/common';
import { InvalidSetupError } from '../event/errors';
import { HookRunner } from '../event/hook-runner';
import type { Around } from '../event/around';
import type { Hooks } from '../event/hooks';
import { readAround, readHooks } from '../options/read-hooks';

/**
 * Lets a module of the application listen to the steps of an event's way beside the option `hooks`:
 * `constructor(hooks: ReliableMqHooks) { hooks.add({ handled: ({ durationMs }) => this.seconds.observe(durationMs / 1000) }); }`
 */
@Injectable()
export class ReliableMqHooks {
  constructor(private readonly runner: HookRunner) {}

  /**
   * Call these functions too, from now on; before the application has started, or after it.
   * @returns removes them
   * @throws InvalidSetupError when something among them is no function, or has a name that no step has
   */
  add(hooks: Partial<Hooks>): () => void {
    const problems: string[] = [];
    const subscriber = readHooks(hooks, 'ReliableMqHooks.add: hooks', problems);
    if (problems.length > 0) throw new InvalidSetupError(problems);
    return this.runner.add(subscriber);
  }

  /**
   * Put these functions around recording, handling and compensating, from now on: to run them inside a trace's span or a logger's context.
   * `hooks.around({ handle: (handling, run) => void this.als.run({ eventId: handling.messages[0]?.eventId }, run) })`
   * @returns removes them
   * @throws InvalidSetupError when something among them is no function, or has another name than those of `Around`
   */
  around(around: Partial<Around>): () => void {
    const problems: string[] = [];
    const read = readAround(around, 'ReliableMqHooks.around: around', problems);
    if (problems.length > 0) throw new InvalidSetupError(problems);
    return this.runner.surround(read);
  }
}
