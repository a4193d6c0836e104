import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { untilCutOff } from './until-cut-off';

/** Somebody would have to walk through it before anything happens, or nobody can say when it has ended. */
type Unawaitable =
  (Iterable<unknown> & { next(...args: never[]): unknown }) | AsyncIterable<unknown> | { unsubscribe(): void };

interface Refused {
  readonly 'its result cannot be awaited: return a promise or an Observable': never;
}

/** A list of what was begun, which nobody waits for: `return lines.map(async (line) => …)`. */
type IsListOfPromises<Result> = [Result] extends [readonly (infer Member)[]]
  ? 0 extends 1 & Member
    ? false
    : [Member] extends [never]
      ? false
      : [Member] extends [Observable<unknown> | PromiseLike<unknown>]
        ? true
        : false
  : false;

/** `unknown`, or what no method is, for one whose result cannot be awaited. */
type WhenAwaitable<Result> = [Result] extends [never]
  ? unknown
  : IsListOfPromises<Awaited<Result>> extends true
    ? Refused
    : [Result] extends [Observable<unknown> | PromiseLike<unknown>]
      ? unknown
      : [Result] extends [Unawaitable]
        ? Refused
        : unknown;

/** Decorates methods that can be called with these arguments, and whose end can be awaited. */
export type DecoratorOf<Args extends readonly unknown[]> = <Method extends (...args: Args) => unknown>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<Method> & WhenAwaitable<ReturnType<Method>>,
) => void;

/** @returns why a method never does what is written in it, as the end of a sentence about it; undefined when it does */
export function whyNeverRuns(method: object): string | undefined {
  const kind = Object.prototype.toString.call(method);
  if (kind !== '[object GeneratorFunction]' && kind !== '[object AsyncGeneratorFunction]') return undefined;
  return `it is a generator, and calling one runs nothing of it. Make it an async method${kind.includes('Async') ? '' : ', or one that returns a promise'}.`;
}

/**
 * What a method of the application came to: of a promise what it fulfils with, of an Observable (also one that was promised) its last
 * value, and nothing when it completes without one.
 * @param label `OrderService#cancel`, for messages
 * @param run what it is part of: an Observable ends when that is cut off. Its signal is asked for only when there is one
 * @throws TypeError when it cannot be awaited, so that nothing of it has happened, or nobody knows whether it has
 */
export async function settled(
  result: unknown,
  label: string,
  run?: { readonly signal: AbortSignal },
): Promise<unknown> {
  const value = await result;
  if (isObservable(value)) return lastValueFrom(run ? untilCutOff(value, run) : value, { defaultValue: undefined });
  const kind = whatCannotBeAwaited(value);
  if (kind === undefined) return value;
  // Nobody else listens to those that fail.
  if (Array.isArray(value)) void Promise.allSettled(value);
  throw new TypeError(
    `${label} returned ${kind}, whose end cannot be awaited: what it was to do is not done. Return a promise or an Observable of RxJS.`,
  );
}

function whatCannotBeAwaited(value: unknown): string | undefined {
  if (typeof value === 'function') return 'a function';
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return value.some(isPromiseLike) ? 'a list of promises (see Promise.all)' : undefined;
  const has = (key: PropertyKey): boolean => typeof (value as Record<PropertyKey, unknown>)[key] === 'function';
  if (has('subscribe')) return 'a stream that is no Observable of RxJS';
  if (has('unsubscribe')) return 'a subscription';
  if (has(Symbol.asyncIterator)) return has('pipe') ? 'a stream' : 'an async iterator';
  return has('next') && has(Symbol.iterator) ? 'an iterator' : undefined;
}

function isPromiseLike(value: unknown): boolean {
  return isObservable(value) || typeof (value as Partial<PromiseLike<unknown>> | null | undefined)?.then === 'function';
}
