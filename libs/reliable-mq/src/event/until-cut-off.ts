import { Observable } from 'rxjs';

/** The Observable, which ends when the run that it is part of is cut off. */
export function untilCutOff<T>(observable: Observable<T>, run: { readonly signal: AbortSignal }): Observable<T> {
  return new Observable((subscriber) => {
    const { signal } = run;
    const stop = (): void => subscriber.error(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    subscriber.add(() => signal.removeEventListener('abort', stop));
    subscriber.add(
      observable.subscribe({
        next: (each) => subscriber.next(each),
        error: (error) => subscriber.error(error),
        complete: () => subscriber.complete(),
      }),
    );
  });
}
