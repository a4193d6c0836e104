import { inspect } from 'node:util';

export interface EventuallyOptions {
  /** How long to go on, in milliseconds. @default 60000 */
  readonly deadlineMs?: number;
  /** Pause between two checks, in milliseconds. @default 20 */
  readonly intervalMs?: number;
}

/**
 * Repeats the check until it neither throws nor returns false, and returns what it returned.
 *
 * @throws Error after the deadline, with the last failure as its message and its cause
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  options: EventuallyOptions = {},
): Promise<Exclude<T, false>> {
  const { deadlineMs = 60_000, intervalMs = 20 } = options;
  const start = performance.now();
  for (let checks = 1; ; checks += 1) {
    let failure: unknown;
    try {
      const result = await check();
      if (result !== false) return result as Exclude<T, false>;
      failure = new Error('the check returned false');
    } catch (error) {
      failure = error;
    }
    const elapsedMs = performance.now() - start;
    if (elapsedMs >= deadlineMs) {
      const reason = failure instanceof Error ? failure.message : inspect(failure);
      throw new Error(`Not so within ${deadlineMs} ms (${checks} checks). The last one: ${reason}`, { cause: failure });
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(intervalMs, deadlineMs - elapsedMs)));
  }
}
