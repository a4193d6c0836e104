import type { Hooks } from './hooks';

/** Calls hooks, and keeps what they throw away from the event's way. */
export class HookRunner {
  constructor(
    private readonly hooks: Partial<Hooks>,
    private readonly onError: (hook: keyof Hooks, error: unknown) => void,
  ) {}

  run<Name extends keyof Hooks>(name: Name, argument: Parameters<Hooks[Name]>[0]): void {
    const hook = this.hooks[name] as ((argument: Parameters<Hooks[Name]>[0]) => unknown) | undefined;
    if (!hook) return;
    try {
      const result = hook.call(this.hooks, argument);
      if (result instanceof Promise) result.catch((error: unknown) => this.onError(name, error));
    } catch (error) {
      this.onError(name, error);
    }
  }
}
