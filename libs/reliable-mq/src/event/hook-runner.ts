import { createLog } from '../log/log';
import { WarningDigest } from '../log/warning-digest';
import { describeError } from './errors';
import type { Hooks } from './hooks';

type Listener = (argument: never) => unknown;

/** Calls the hooks of everyone who listens, and keeps what one of them throws away from the others and from the event's way. */
export class HookRunner {
  private readonly logger = createLog();
  /** One that fails may fail for each event. */
  private readonly failures = new WarningDigest((details) => this.logger.error('A hook failed', details));
  private readonly subscriptions = new Set<{ readonly subscriber: Partial<Hooks> }>();
  /** Who listens to what, found out at the first call: a step that nobody listens to costs one look. */
  private readonly listening = new Map<keyof Hooks, readonly Listener[]>();

  constructor(subscribers: readonly Partial<Hooks>[]) {
    for (const subscriber of subscribers) this.add(subscriber);
  }

  /** @returns removes the subscriber */
  add(subscriber: Partial<Hooks>): () => void {
    const subscription = { subscriber };
    this.subscriptions.add(subscription);
    this.listening.clear();
    return () => {
      this.subscriptions.delete(subscription);
      this.listening.clear();
    };
  }

  run<Name extends keyof Hooks>(name: Name, argument: Parameters<Hooks[Name]>[0]): void {
    for (const listener of this.listening.get(name) ?? this.findListeners(name)) {
      try {
        const result = listener(argument as never);
        if (result instanceof Promise) result.catch((error: unknown) => this.tellFailure(name, error));
      } catch (error) {
        this.tellFailure(name, error);
      }
    }
  }

  private findListeners(name: keyof Hooks): readonly Listener[] {
    const listeners = [...this.subscriptions].flatMap(({ subscriber }) => {
      const hook = subscriber[name] as Listener | undefined;
      return hook ? [hook] : [];
    });
    this.listening.set(name, listeners);
    return listeners;
  }

  private tellFailure(hook: keyof Hooks, error: unknown): void {
    this.failures.add(undefined, { hook, error: describeError(error) });
  }
}
