import { createLog } from '../log/log';
import { WarningDigest } from '../log/warning-digest';
import type { Around } from './around';
import { describeError } from './errors';
import type { Hooks } from './hooks';
import type { EventHeaders } from './message-headers';

type Listener = (argument: never) => unknown;
type Work = (headers?: EventHeaders) => Promise<unknown>;
type Wrapper = (about: never, run: Work) => unknown;

type About<Name extends keyof Around> = Parameters<Around[Name]>[0];
type WorkOf<Name extends keyof Around> = Parameters<Around[Name]>[1];

const NOT_RUN = new Error('it did not call run before it returned; the work ran without it');

/** Calls the hooks of everyone who listens, and keeps what one of them throws away from the others and from the event's way. */
export class HookRunner {
  private readonly logger = createLog();
  /** One that fails may fail for each event. */
  private readonly failures = new WarningDigest((details) => this.logger.error('A hook failed', details));
  private readonly subscriptions = new Set<{ readonly subscriber: Partial<Hooks> }>();
  /** Who listens to what, found out at the first call: a step that nobody listens to costs one look. */
  private readonly listening = new Map<keyof Hooks, readonly Listener[]>();
  private readonly surroundings = new Set<{ readonly around: Partial<Around> }>();

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

  /** @returns removes it again */
  surround(around: Partial<Around>): () => void {
    const surrounding = { around };
    this.surroundings.add(surrounding);
    return () => void this.surroundings.delete(surrounding);
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

  /** Whether anybody stands around anything. Work that nobody stands around costs this look. */
  get isSurrounded(): boolean {
    return this.surroundings.size > 0;
  }

  /**
   * Runs the work inside of what everybody has put around it, the first to come outermost.
   * @returns what the work returns
   */
  around<Name extends keyof Around>(name: Name, about: About<Name>, work: WorkOf<Name>): ReturnType<WorkOf<Name>> {
    if (!this.isSurrounded) return work() as ReturnType<WorkOf<Name>>;
    const wrappers = [...this.surroundings].flatMap(({ around }) => (around[name] as Wrapper | undefined) ?? []);
    return this.inside(wrappers, name, about as never, work as Work) as ReturnType<WorkOf<Name>>;
  }

  private inside(
    [outer, ...others]: readonly Wrapper[],
    name: keyof Around,
    about: never,
    work: Work,
  ): Promise<unknown> {
    if (!outer) return work();
    let running: Promise<unknown> | undefined;
    const run: Work = (headers) =>
      (running ??= this.inside(others, name, about, (inner) => work(inner ? { ...headers, ...inner } : headers)));
    try {
      const result = outer(about, run);
      // A wrapper that waits for the work fails with it.
      if (result instanceof Promise) {
        result.catch(async (error: unknown) => {
          const ofWork = await running?.then(
            () => undefined,
            (reason: unknown) => reason,
          );
          if (error !== ofWork) this.tellFailure(`around.${name}`, error);
        });
      }
      if (!running) this.tellFailure(`around.${name}`, NOT_RUN);
    } catch (error) {
      this.tellFailure(`around.${name}`, error);
    }
    return run();
  }

  private findListeners(name: keyof Hooks): readonly Listener[] {
    const listeners = [...this.subscriptions].flatMap(({ subscriber }) => {
      const hook = subscriber[name] as Listener | undefined;
      return hook ? [hook] : [];
    });
    this.listening.set(name, listeners);
    return listeners;
  }

  private tellFailure(hook: string, error: unknown): void {
    this.failures.add(undefined, { hook, error: describeError(error) });
  }
}
