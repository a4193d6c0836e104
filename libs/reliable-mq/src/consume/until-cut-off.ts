import { isObservable, Observable } from 'rxjs';
import type { BatchContext, EventContext } from './event-context';

/** What a handler has returned. An Observable, also one that was promised, ends when the attempt is cut off. */
export async function untilCutOff(
  result: unknown,
  context: Pick<EventContext | BatchContext, 'signal'>,
): Promise<unknown> {
  const value = await result;
  if (!isObservable(value)) return value;
  return new Observable((subscriber) => {
    const { signal } = context;
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
