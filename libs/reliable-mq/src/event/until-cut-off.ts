import { isObservable, Observable } from 'rxjs';

/**
 * What a method of the application has returned. An Observable, also one that was promised, ends when its run is cut off.
 * @param run its signal is asked for only when there is an Observable
 */
export async function untilCutOff(result: unknown, run: { readonly signal: AbortSignal }): Promise<unknown> {
  const value = await result;
  if (!isObservable(value)) return value;
  return new Observable((subscriber) => {
    const { signal } = run;
    const stop = (): void => subscriber.error(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    subscriber.add(() => signal.removeEventListener('abort', stop));
    subscriber.add(
      value.subscribe({
        next: (each) => subscriber.next(each),
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    );
  });
}
